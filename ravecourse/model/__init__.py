"""The model: filter bank, layers, encoder and decoder, what its latent holds, and its checkpoints."""

from . import checkpoint, controls, latent, layers, periods, receptive_fields, source, spectral_encoder
from .checkpoint import Checkpoint, load_model
from .controls import Controls
from .latent import ALIVE_NATS, LatentStatistics, fidelity_table, kl_divergence, size_for
from .layers import Conv, NoiseSynth, Residual, UpConv, filter_frames, mod_sigmoid
from .pqmf import PQMF, cosine_modulated_bank, kaiser_prototype, refined_prototype
from .rave import RAVE, DecoderV1, DecoderV2
from .receptive_fields import receptive_field
from .source import Source

__all__ = [
    "ALIVE_NATS",
    "PQMF",
    "RAVE",
    "Checkpoint",
    "Controls",
    "Conv",
    "DecoderV1",
    "DecoderV2",
    "LatentStatistics",
    "NoiseSynth",
    "Residual",
    "Source",
    "UpConv",
    "checkpoint",
    "controls",
    "cosine_modulated_bank",
    "fidelity_table",
    "filter_frames",
    "kaiser_prototype",
    "kl_divergence",
    "latent",
    "layers",
    "load_model",
    "mod_sigmoid",
    "periods",
    "receptive_field",
    "receptive_fields",
    "refined_prototype",
    "size_for",
    "source",
    "spectral_encoder",
]
