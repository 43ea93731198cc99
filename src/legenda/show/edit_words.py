"""What the page of an edit says of its numbers: sentences, captions and alt texts."""

from typing import Any

from legenda.show.palette import short

Plain = dict[str, Any]


def lead(said: Plain) -> str:
    """What was done, where, and what the judges make of it."""
    many, size = len(said["positions"]), said["grid"][0] * said["grid"][1]
    head = f"{said['source']}, {said['edit']}, in {many} of {size} positions."
    judges, n = said["judges"], said["control"]["n"]
    aimed = [one["target"] for one in judges if one["target"]]
    if not aimed:
        return head
    better = sum(target["above"] == n and target["after"] > target["before"] for target in aimed)
    if len(aimed) > 1:
        who = f"{better} of {len(aimed)} judges {'gives' if better == 1 else 'give'}"
    else:
        who = "The judge gives" if better else "The judge does not give"
    return (
        f"{head} {who} {aimed[0]['class']} more than before, and more than after each of {n} "
        "random edits."
    )


def where(said: Plain) -> str:
    """The region in rows and columns, as `--region` counts them."""
    columns = said["grid"][1]
    places = [divmod(position, columns) for position in said["positions"]]
    rows, across = [r for r, _ in places], [c for _, c in places]
    return f"rows {min(rows)} to {max(rows)} and columns {min(across)} to {max(across)}, from 0"


def seen(said: Plain, at: str) -> str:
    """What the judges see in a picture, where there are some."""
    found = [
        f"{one['judge']} gives {part['class']} {probability(part[at])}"
        for one in said["judges"]
        for part in [one["target"] or one["source"]]
    ]
    return f" {'; '.join(found)}." if found else ""


def describe(said: Plain, name: str) -> str:
    """Alt text of a picture: what it is, what is seen in it, and what changed."""
    width, height = said["size"]
    if name == "original":
        return f"The picture {said['source']} as the model takes it, {width} × {height} pixels."
    if name == "before":
        return (
            f"The same picture, decoded from its tokens, before the edit.{seen(said, 'before')} "
            f"The region is outlined: {where(said)}."
        )
    if name == "after":
        tokens = said["tokens"]["changed"]
        changed = "acts were shifted" if tokens is None else f"{tokens} tokens are others"
        return f"After the edit ({said['edit']}); {changed}.{seen(said, 'after')}"
    return f"Where the two differ, bright where most. {effects(said)}"


def caption(said: Plain, name: str) -> str:
    """What is written below a picture."""
    if name == "difference":
        most = said["effects"]["largest"]
        return f"difference: dark is none, bright is {most} of 255 levels"
    return {
        "original": "original, as the model takes it",
        "before": "before: decoded from its tokens",
        "after": f"after: {said['edit']}",
    }[name]


def effects(said: Plain) -> str:
    """How far the edit reaches."""
    found = said["effects"]
    inside = (
        f"In the region {percent(found['changed_inside'])} of the pixels changed, by "
        f"{short(found['difference_inside'])} of 255 levels on average"
    )
    if found["changed_outside"] is None:
        return f"{inside}; there is nothing outside of it."
    return (
        f"{inside}; outside {percent(found['changed_outside'])}, by "
        f"{short(found['difference_outside'])}: a decoder sees past the cell it paints."
    )


def alone(said: Plain) -> tuple[str, str] | None:
    """The warning where nobody judged the edit, or nobody knows what it aimed at."""
    found = said["optimised"]
    if not said["judges"]:
        opinion = "Below is the opinion of the model that was optimised, which finds itself right."
        return (
            "Nothing independent judged this edit.",
            opinion if found else "No judge was given: what it means is for you to see.",
        )
    if found and not any(one["target"] for one in said["judges"]):
        return f"No judge knows {found['concept']}.", "They say what else changed, and no more."
    return None


def verdict(said: Plain, one: Plain) -> str:
    """What one judge says, beside the control."""
    source, target, largest = one["source"], one["target"], one["largest"]
    head = f"{one['judge']} saw {course(source)}"
    random = f"after {said['control']['n']} {said['control']['by']},"
    if target is None:
        return (
            f"{head}. The largest change of any class: {course(largest)}, by "
            f"{probability(largest['shift'])}; {random} it is "
            f"{probability(largest['shifts']['mean'])} {between(largest['shifts'])}."
        )
    if target["class"] == source["class"]:
        head = f"{head}, which is what the edit aims at"
    else:
        head = f"{head}. Aimed at: {course(target)}"
    return (
        f"{head}; {random} {probability(target['control']['mean'])} "
        f"{between(target['control'])}: above {target['above']} of {target['control']['n']}."
    )


def course(found: Plain) -> str:
    """A class, and its probability before and after."""
    return f"{found['class']}, {probability(found['before'])} to {probability(found['after'])}"


def optimised(said: Plain) -> str:
    """What the search raised."""
    found = said["optimised"]
    if found is None:
        return ""
    logit, share, ends = found["logit"], found["probability"], found["restarts"]
    restarts = ""
    if len(ends) > 1:
        restarts = f" Its {len(ends)} restarts ended at {', '.join(map(short, ends))}."
    return (
        f"{found['model']}, which the search asked: logit of {found['concept']} from "
        f"{short(logit['before'])} to {short(logit['after'])}, probability from "
        f"{probability(share['before'])} to {probability(share['after'])}.{restarts}"
    )


def trace(said: Plain) -> str:
    """Alt text of the course of the search."""
    found = said["optimised"]
    last, value = found["trace"][-1]
    return (
        f"Logit of {found['concept']} by {found['model']} during the search, first restart: "
        f"{short(found['logit']['before'])} before, {short(value)} at step {last}, highest "
        f"{short(max(v for _, v in found['trace']))}."
    )


def probability(value: float | None) -> str:
    """A probability in three places; what rounds to 0 or 1 and is neither says so."""
    if value is None:
        return "–"
    if 0 < value < 0.0005:
        return "<0.001"
    return ">0.999" if 0.9995 <= value < 1 else f"{value:.3f}"


def percent(share: float) -> str:
    """A share in percent."""
    return f"{short(100 * share)} %"


def between(found: Plain) -> str:
    """A range."""
    return f"[{probability(found['low'])}, {probability(found['high'])}]"
