"""What the page of an audit says of its numbers."""

from typing import Any

from legenda.show.palette import short
from legenda.show.token_words import counted, percent, percent_of
from legenda.show.words import between

Plain = dict[str, Any]


def lead(said: Plain) -> str:
    """What was found, first; what was not, as plainly."""
    parts = [shortcuts(said), lean(said), differing(said)]
    return " ".join(part for part in parts if part)


def shortcuts(said: Plain) -> str:
    """How many tokens are flagged, toward which group."""
    found = said["shortcuts"]
    if found is None:
        return ""
    many, tested, n = len(found["flagged"]), found["tested"], sum(found["images"])
    if not tested:
        return (
            f"No token could be tested: that takes {found['least']} reference images of each group "
            f"that hold it, and {found['least']} that do not; there are {n} in all."
        )
    if not many:
        return (
            f"No token is flagged: of {tested} tokens that were tested in {n} reference images, "
            "none both went with a group in the training images only and moves the concept model. "
            "A rare or weak shortcut may have stayed unseen."
        )
    toward = [one["toward"] for one in found["flagged"]]
    sides = ", ".join(f"{toward.count(g)} toward {g!r}" for g in said["groups"] if g in toward)
    one = many == 1
    return (
        f"{many} of {tested} tokens {'is' if one else 'are'} flagged as "
        f"{'a shortcut' if one else 'shortcuts'}: {'it' if one else 'they'} went with a group in "
        f"the training images only, and the concept model still follows {'it' if one else 'them'} "
        f"in {n} reference images ({sides}). Where margins are shuffled, {short(found['control'])} "
        f"are flagged on average."
    )


def lean(said: Plain) -> str:
    """Which group neutral images lean to."""
    found = said["lean"]
    if found is None:
        silent = said["silent"]
        return f"Whether neutral images lean to a group cannot be told: {silent}" if silent else ""
    measured = f"δ = {counted(found)} over {found['n']} images"
    control = f"{percent(found['beyond'])} of random pairs of lists lean as far"
    if not found["leans"]:
        return (
            f"Neutral images lean to neither group, as far as can be told: {measured}; {control}."
        )
    return (
        f"Neutral images lean to {found['toward']!r}: {measured}, a {found['magnitude']} effect; "
        f"{control}."
    )


def differing(said: Plain) -> str:
    """What training images alone can say."""
    found = said["differing"]
    if found is None:
        return ""
    (a, b), many = said["groups"], len(found["tokens"])
    return (
        "Training images alone cannot tell a shortcut from a sign of the group, so no token is "
        f"flagged. {many} of {found['tested']} tokens {'differs' if many == 1 else 'differ'} "
        f"between {a!r} and {b!r}; where the groups are dealt by lot, {short(found['control'])} do "
        "on average. Reference or neutral images can say more."
    )


def knowledge(said: Plain) -> str:
    """How well the concept model knows the groups."""
    found = said["concept_model"]
    first, other = found["accuracy"], found["reference"]
    head = (
        f"The concept model {found['name']} names the group first for {counted(first)} of "
        f"{found['measured_on']}; naming the most frequent would reach {short(first['control'])}"
        f"{between(first['control_interval'])}."
    )
    if other is None:
        return head
    return (
        f"{head} Of {other['n']} reference images it prefers the right group for {counted(other)}; "
        f"chance is {short(other['control'])}."
    )


def doubt(said: Plain) -> str:
    """The warning where the concept model knows nothing; nothing where it does."""
    first = said["concept_model"]["accuracy"]
    if first["interval"][0] > first["control_interval"][1]:
        return ""
    return (
        "It is not surely better than that, so that what it goes by says little about the groups. "
        "More images, or more epochs, may help."
    )


def notes(said: Plain) -> list[str]:
    """What else a reader has to know before the numbers."""
    found, (a, b) = said["concept_model"], said["groups"]
    made = [knowledge(said)]
    if not found["trained"]:
        made.append(
            "It was not trained here: the training images stand for those that it was trained on."
        )
    if found["copies"]:
        made.append(
            f"{found['copies']} reference images are copies of training images, and not held out: "
            "what they say proves less."
        )
    return [*made, f"Every δ is above 0 toward {a!r} and below 0 toward {b!r}."]


def flagged(said: Plain, one: Plain) -> list[str]:
    """What is known of a flagged token: how it moves the model, why it is a shortcut, the proof."""
    n, (a, b) = sum(said["shortcuts"]["images"]), said["groups"]
    (old_a, old_b), (new_a, new_b) = one["before"], one["shares"]
    return [
        f"δ of the margin given the group: {counted(one)} over {n} reference images; where margins "
        f"are shuffled, 95 % lie within{between(one['chance'])}. p = {short(one['adjusted'])}, "
        f"corrected for {said['shortcuts']['tested']} tokens.",
        f"Images of {a!r} that hold it: {percent_of(old_a)} in training, {percent_of(new_a)} in "
        f"reference. Of {b!r}: {percent_of(old_b)} and {percent_of(new_b)}. Of its presence in "
        f"training images of {one['toward']!r}, {percent(one['owed'])} came with the tie.",
        counterfactual(one),
    ]


def briefly(one: Plain) -> str:
    """A flagged token in a line."""
    proof = one["proof"]
    return (
        f"token {one['token']}, toward {one['toward']!r}: δ {counted(one)}; without it the margin "
        f"changes by {counted(proof)}, with random cells changed by {short(proof['control'])}"
    )


def counterfactual(one: Plain) -> str:
    """What becomes of the margin without a token, beside the control."""
    proof = one["proof"]
    head = (
        f"With token {one['substitute']} in its place, the nearest entry that is not flagged, the "
        f"margin changes by {counted(proof)} on average, in {proof['n']} images; with as many "
        f"random cells changed, by {short(proof['control'])}{between(proof['control_interval'])}: "
    )
    if proof["beats_control"]:
        return f"{head}the token itself moves the model away from {one['toward']!r} when it goes."
    return f"{head}not surely more, so that it may only stand beside what the model goes by."


def chart(found: Plain) -> str:
    """Alt text of a δ beside its control."""
    return f"δ {counted(found)}; control{between(found['control'])}"


def by_lot(said: Plain) -> str:
    """What the table of differing tokens is held against, and what it leaves out."""
    found = said["differing"]
    rest = len(found["tokens"]) - sum("interval" in one for one in found["tokens"])
    more = f" {rest} more are in audit.json." if rest else ""
    return (
        "δ compares how many cells of an image hold the token, between the training images of both "
        f"groups, with its 95 % interval; p is corrected for {found['tested']} tokens.{more}"
    )
