"""The receptive field, how much of the input one output sample depends on, by interval arithmetic over the layers.

Notebook: 03.
"""

from torch import nn

from ravecourse.errors import RaveCourseError

from .controls import Controls
from .layers import Conv, NoiseSynth, Residual, UpConv
from .pqmf import PQMF
from .rave import RAVE, DecoderV1
from .spectral_encoder import SpectralEncoder

Interval = tuple[int, int]  # first and last sample or frame, both included


def receptive_interval(model: RAVE, sample: int) -> Interval:
    """The first and the last input sample that output sample `sample` of an endless sound depends on.

    The noise synthesiser counts where it is switched on. Of a source, what sets pitch, loudness and amplitudes counts;
    its phase adds up all pitches since the start.
    Notebook: 03.
    """
    bands = synthesis_reads(model.pqmf, (sample, sample))
    decoder = model.decoder
    heads = [input_interval(decoder.wave, bands)]
    if isinstance(decoder, DecoderV1):
        heads.append(input_interval(decoder.loudness, bands))
    if decoder.noise is not None and float(model.noise_level) > 0:
        heads.append(input_interval(decoder.noise, bands))
    latents = input_interval(decoder.trunk, union(*heads))
    if model.source is None or model.controls is None:
        return _learned_read(model, latents)
    frame = sample // model.hop_length
    latents = union(latents, input_interval(model.source.net, (frame - 1, frame)))
    named = latents[0] - 1, latents[1]  # the frame before has to be known, to glide from
    return union(_learned_read(model, latents), _window_reads(model.controls, named))


def receptive_field(model: RAVE) -> int:
    """Samples from the first to the last that an output sample depends on; the most over all samples of a
    hop.

    Notebook: 03.
    """
    found = [receptive_interval(model, sample) for sample in range(model.hop_length)]
    return max(last - first + 1 for first, last in found)


def input_interval(block: nn.Module, outputs: Interval) -> Interval:
    """The inputs of a block that an interval of its outputs depends on.

    Raises:
        RaveCourseError: a layer that this module does not know.
    Notebook: 03.
    """
    first, last = outputs
    if isinstance(block, nn.Sequential):
        for layer in reversed(block):
            outputs = input_interval(layer, outputs)
        return outputs
    if isinstance(block, Conv):
        stride = block.stride[0]
        return first * stride - block.left, last * stride + block.right
    if isinstance(block, UpConv):  # output o = input * stride + tap - crop, with 2 * stride taps
        stride = block.stride[0]
        return -((2 * stride - 1 - block.crop - first) // stride), (last + block.crop) // stride
    if isinstance(block, Residual):
        return union(outputs, input_interval(block.branch, outputs))
    if isinstance(block, NoiseSynth):
        return input_interval(block.net, (first // block.frame, last // block.frame))
    if isinstance(block, nn.LeakyReLU | nn.BatchNorm1d):
        return outputs
    raise RaveCourseError(
        f"A layer of the type {type(block).__name__} has no known reach; build the model from "
        "the blocks of ravecourse.model."
    )


def _learned_read(model: RAVE, frames: Interval) -> Interval:
    """The samples that the learned latents of an interval of frames depend on."""
    waveform = analysis_reads(model.pqmf, input_interval(model.encoder, frames))
    if model.spectral_encoder is None:
        return waveform
    return union(waveform, _window_reads(model.spectral_encoder, input_interval(model.spectral_encoder.net, frames)))


def _window_reads(analysis: Controls | SpectralEncoder, frames: Interval) -> Interval:
    """The samples in the windows of an interval of frames."""
    end = analysis.hop_length + analysis.lookahead
    return frames[0] * analysis.hop_length + end - analysis.window, frames[1] * analysis.hop_length + end - 1


def union(*intervals: Interval) -> Interval:
    """The smallest interval that holds all of them. Notebook: 03."""
    return min(first for first, _ in intervals), max(last for _, last in intervals)


def analysis_reads(pqmf: PQMF, frames: Interval) -> Interval:
    """The samples that the band split reads for an interval of frames. Notebook: 03."""
    used = pqmf.analysis_weight.ne(0).any(0).T.flatten().nonzero()  # places (frame, phase) of the taps, in samples
    start = -pqmf.analysis_left * pqmf.n_bands
    return frames[0] * pqmf.n_bands + start + int(used[0]), frames[1] * pqmf.n_bands + start + int(used[-1])


def synthesis_reads(pqmf: PQMF, samples: Interval) -> Interval:
    """The frames that the joining of the bands reads for an interval of samples. Notebook: 03."""

    def frames(sample: int) -> Interval:
        frame, phase = divmod(sample, pqmf.n_bands)
        used = pqmf.synthesis_weight[phase].ne(0).any(0).nonzero()
        start = frame - pqmf.synthesis_left
        return start + int(used[0]), start + int(used[-1])

    return union(frames(samples[0]), frames(samples[1]))
