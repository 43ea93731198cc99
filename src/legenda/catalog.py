"""Every name a person can type, and the code it stands for: `name → module:attribute`.

Third parties add their own through the entry-point group `legenda`, with names such as
`explain.my_method`.
"""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from legenda.errors import BadInput, Missing, near

CATALOG: dict[str, str] = {
    "zoo.scenes": "legenda.zoo.scenes.shipped:open_dual",
    "zoo.photos": "legenda.zoo.photos.shipped:open_dual",
    "zoo.vq": "legenda.zoo.vq.shipped:open_vq",
    "zoo.vae": "legenda.zoo.vae.shipped:open_vae",
    "zoo.ddpm": "legenda.zoo.ddpm.shipped:open_ddpm",
    "network.csvae": "legenda.autoencoders.subspace:subspace_network",
    "reference.builtin": "legenda.zoo.reference:builtin",
    "explain.m2ib": "legenda.explain.bottleneck:InformationBottleneck",
    "explain.m2ib_published": "legenda.presets:M2IB",
    "explain.nib": "legenda.explain.path_integral:PathIntegral",
    "explain.saliency": "legenda.explain.saliency:Saliency",
    "explain.gradient_times_input": "legenda.explain.gradient_times_input:GradientTimesInput",
    "explain.smooth_grad": "legenda.explain.smooth_grad:SmoothGrad",
    "explain.integrated_gradients": "legenda.explain.integrated_gradients:IntegratedGradients",
    "explain.grad_cam": "legenda.explain.grad_cam:GradCAM",
    "explain.attention_rollout": "legenda.explain.attention_rollout:AttentionRollout",
    "explain.chefer": "legenda.explain.attention_relevance:AttentionRelevance",
    "explain.token_importance": "legenda.explain.token_importance:TokenImportance",
    "explain.rise": "legenda.explain.rise:RandomizedInputSampling",
    "explain.kernel_shap": "legenda.explain.kernel_shap:KernelShap",
    "explain.occlusion": "legenda.explain.occlusion:Occlusion",
    "explain.random": "legenda.explain.random:Random",
    "explain.centre_gaussian": "legenda.explain.centre_gaussian:CentreGaussian",
    "explain.edge_map": "legenda.explain.edge_map:EdgeMap",
    "dictionary.matryoshka": "legenda.dictionaries.matryoshka:MatryoshkaBatchTopK",
    "dictionary.batch_topk": "legenda.dictionaries.batch_top_k:BatchTopK",
    "dictionary.topk": "legenda.dictionaries.top_k:TopK",
    "dictionary.relu_l1": "legenda.dictionaries.relu_l1:ReLUL1",
    "dictionary.jumprelu": "legenda.dictionaries.jump_relu:JumpReLU",
    "dictionary.gated": "legenda.dictionaries.gated:Gated",
    "dictionary.mp": "legenda.dictionaries.matching_pursuit:MatchingPursuit",
    "dictionary.archetypal": "legenda.dictionaries.archetypal:Archetypal",
    "dictionary.vsae": "legenda.dictionaries.variational:Variational",
    "dictionary.nested_k": "legenda.dictionaries.nested_k:NestedK",
    "dictionary.nmf": "legenda.dictionaries.nmf:NMF",
    "dictionary.semi_nmf": "legenda.dictionaries.semi_nmf:SemiNMF",
    "dictionary.kmeans": "legenda.dictionaries.k_means:KMeans",
    "dictionary.pca": "legenda.dictionaries.pca:PCA",
    "dictionary.random": "legenda.dictionaries.random_atoms:RandomAtoms",
    "autoencoder.ae": "legenda.autoencoders.autoencoder:Autoencoder",
    "autoencoder.vae": "legenda.autoencoders.vae:VAE",
    "autoencoder.beta_h": "legenda.autoencoders.beta_vae:BetaVAE",
    "autoencoder.beta_b": "legenda.autoencoders.beta_vae:CapacityVAE",
    "autoencoder.beta_tc": "legenda.autoencoders.beta_tcvae:BetaTCVAE",
    "autoencoder.factor": "legenda.autoencoders.factor_vae:FactorVAE",
    "autoencoder.dip": "legenda.autoencoders.dip_vae:DIPVAE",
    "autoencoder.conditional": "legenda.autoencoders.conditional:ConditionalVAE",
    "autoencoder.csvae": "legenda.autoencoders.csvae:CSVAE",
    "direction.class_means": "legenda.dictionaries.class_mean_directions:ClassMeanDirections",
    "direction.probe": "legenda.dictionaries.probe_directions:ProbeDirections",
    "direction.pca": "legenda.dictionaries.principal_directions:PrincipalDirections",
    "direction.compass": "legenda.dictionaries.compass:Compass",
    "frames.traversal": "legenda.explain.traversal:Traversal",
    "frames.steering": "legenda.explain.steering_frames:SteeringFrames",
    "frames.token_doses": "legenda.explain.steering_frames:TokenDoses",
    "frames.invariance": "legenda.explain.manipulation:Invariance",
    "frames.combination": "legenda.explain.manipulation:Combination",
    "frames.conditional": "legenda.explain.manipulation:Conditional",
    "describe.measured": "legenda.describe.measured:Measured",
    "describe.lmm": "legenda.describe.lmm:LMM",
    "describe.words": "legenda.describe.retrieval:Retrieval",
    "disentanglement.mig": "legenda.score.mutual_information_gap:MutualInformationGap",
    "disentanglement.dci": "legenda.score.dci:DCI",
    "disentanglement.sap": "legenda.score.sap:SeparatedPredictability",
    "disentanglement.modularity": "legenda.score.modularity:Modularity",
    "disentanglement.factor_vae": "legenda.score.factor_vae_score:FactorVAEScore",
    "name.vanilla": "legenda.describe.unit_vectors:VanillaNaming",
    "name.family": "legenda.describe.family_naming:FamilyNaming",
    "name.centred": "legenda.describe.centred_naming:CentredNaming",
    "name.contrastive": "legenda.describe.contrastive_naming:ContrastiveNaming",
    "score.drop": "legenda.score.drop:ConfidenceDrop",
    "score.increase": "legenda.score.drop:ConfidenceIncrease",
    "score.deletion": "legenda.score.insertion_deletion:Deletion",
    "score.insertion": "legenda.score.insertion_deletion:Insertion",
    "score.road": "legenda.score.road:RemoveAndDebias",
    "score.pointing": "legenda.score.localisation:Pointing",
    "score.named_first": "legenda.score.localisation:NamedFirst",
    "score.energy_inside": "legenda.score.localisation:EnergyInside",
    "score.iou": "legenda.score.overlap:IoU",
    "score.best_iou": "legenda.score.overlap:BestIoU",
    "score.retrieval_roar": "legenda.score.retrieval_roar:RetrievalROAR",
    "score.roar": "legenda.score.roar:RemoveAndRetrain",
    "score.cascade": "legenda.score.cascade:CascadingRandomisation",
    "score.caption_swap": "legenda.score.sanity:CaptionSwap",
    "score.gibberish": "legenda.score.sanity:Gibberish",
    "score.seed_stability": "legenda.score.sanity:SeedStability",
    "score.foreign_word_first": "legenda.score.words:ForeignWordFirst",
    "score.mismatch": "legenda.score.mismatch:MismatchAUROC",
}

NOUNS = {"explain": "method", "zoo": "zoo model", "name": "way of naming"}
"""What a kind of name is called in a sentence, where that is another word."""


def names(kind: str) -> list[str]:
    """The names of one kind, such as `explain`, ours and installed ones."""
    found = {**CATALOG, **{e.name: e.value for e in entry_points(group="legenda")}}
    return [n.split(".", 1)[1] for n in found if n.startswith(kind + ".")]


def canonical(kind: str, name: str) -> str:
    """A name as it is catalogued: case, `-` and `_` make no difference.

    Examples
    --------
    >>> canonical("explain", "Grad-CAM")
    'grad_cam'
    """
    noun, known = NOUNS.get(kind, kind), names(kind)
    if not isinstance(name, str):
        raise BadInput(f"a {noun} is called by its name, a string; it got {name!r}. Give one.")
    found = {_plain(one): one for one in known}.get(_plain(name))
    if found is None:
        raise Missing(
            f"there is no {noun} named {name!r}.{near(name.lower(), known)} "
            f"Known: {', '.join(known)}."
        )
    return found


def lookup(kind: str, name: str) -> Any:
    """The code behind a name; unknown names suggest near ones."""
    installed = {e.name: e.value for e in entry_points(group="legenda")}
    spec = {**CATALOG, **installed}[f"{kind}.{canonical(kind, name)}"]
    module, _, attribute = spec.partition(":")
    return getattr(import_module(module), attribute)


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "_")
