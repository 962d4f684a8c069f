"""Block by block equals offline, later by the delay that the stream computes: each layer, and the whole."""

import io

import pytest
import torch
from helpers import realistic, signal
from torch import Tensor, nn

from ravecourse.config import PRESETS, preset
from ravecourse.errors import RaveCourseError
from ravecourse.model.layers import Conv, NoiseSynth, UpConv, dilated_unit
from ravecourse.model.pqmf import PQMF
from ravecourse.model.rave import RAVE
from ravecourse.streaming import StreamingRAVE, StreamNoise, convert
from ravecourse.streaming.layers import StreamAnalysis, StreamSynthesis

BLOCKS = (1, 2, 3, 8, 1, 1, 2, 8, 3, 2)  # in hops
TOLERANCE = 1e-5  # of full scale


@pytest.fixture(autouse=True)
def without_gradients():
    """Streams are for inference."""
    with torch.no_grad():
        yield


def tiny_width(name: str, **overrides: object) -> RAVE:
    """A preset with every layer in place and few channels."""
    return realistic(RAVE(preset(name, **{"capacity": 8, "latent_size": 6, "noise_capacity": 12, **overrides})), 3)


def in_blocks(method, x: Tensor, sizes: tuple[int, ...], unit: int) -> Tensor:
    """Feed the last dimension of `x` in blocks of `sizes` x `unit`, again and again, and join what comes."""
    parts, start, turn = [], 0, 0
    while start < x.shape[-1]:
        stop = start + sizes[turn % len(sizes)] * unit
        parts.append(method(x[..., start:stop]))
        start, turn = stop, turn + 1
    return torch.cat(parts, -1)


def rows_in_blocks(layer: nn.Module, x: Tensor, sizes: tuple[int, ...], unit: int) -> Tensor:
    """`in_blocks` for a layer over rows: [B, C, F] in and out."""
    return in_blocks(lambda block: layer(block.transpose(1, 2).contiguous()).transpose(1, 2), x, sizes, unit)


def assert_later(stream: Tensor, offline: Tensor, late: int, tolerance: float = TOLERANCE) -> None:
    """`stream` is `offline` moved right by `late`, from the first sample on, and not silent."""
    kept = stream[..., late:]
    assert kept.shape[-1] > stream.shape[-1] // 3
    reference = offline[..., : kept.shape[-1]]
    assert reference.abs().max() > 0.01
    torch.testing.assert_close(kept, reference, rtol=0, atol=tolerance * max(1.0, float(reference.abs().max())))


def matching_shifts(stream: Tensor, offline: Tensor, tolerance: float = 1e-4) -> list[int]:
    """All shifts at which a stretch of `stream` [T] is found in `offline` [T], measured blindly."""
    length = 256
    start = len(stream) - length - 64
    windows = offline[: len(stream)].unfold(0, length, 1)  # [T - length + 1, length]
    error = (windows - stream[start : start + length]).abs().amax(1)
    found = torch.nonzero(error < tolerance * float(offline.abs().max()))[:, 0]
    return [start - int(position) for position in found]


def fixed_noise(monkeypatch: pytest.MonkeyPatch, model: RAVE, stream: StreamingRAVE) -> None:
    """Make both draw the same frame of noise, again and again."""
    stream.heads.noise.fixed_noise = True
    frame = stream.heads.noise.fixed
    monkeypatch.setattr(
        NoiseSynth, "draw", lambda self, a, generator=None: frame[:, None].expand(len(a), -1, a.shape[2], -1)
    )


# Layer by layer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 3, 9])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7, 9])
def test_stream_conv(kernel: int, dilation: int, stride: int, causal: bool) -> None:
    layer = Conv(3, 4, kernel, stride=stride, dilation=dilation, causal=causal, bias=kernel % 2 == 0)
    x = torch.randn(2, 3, 90 * stride, generator=torch.Generator().manual_seed(kernel))
    for late in (0, 1, 2, 3, 5, 8, 13):
        stream, late_out = convert(layer, late)
        assert late_out == (late + layer.right) // stride
        delayed = torch.cat([torch.full((2, 3, late), 7.0), x], -1)[..., : x.shape[-1]]
        assert_later(rows_in_blocks(stream, delayed, (1, 2, 3, 8, 1), stride), layer(x), late_out)


def test_stream_conv_of_one_tap_and_groups() -> None:
    x = torch.randn(2, 6, 24, generator=torch.Generator().manual_seed(0))
    for late in (0, 3):
        delayed = torch.cat([torch.zeros(2, 6, late), x], -1)[..., :24]
        for layer in (Conv(6, 4, 1), Conv(6, 4, 5, groups=2), Conv(6, 6, 3, groups=6, bias=True)):
            stream, late_out = convert(layer, late)
            assert_later(rows_in_blocks(stream, delayed, (1, 2, 5), 1), layer(x), late_out)


@pytest.mark.parametrize("padding_left", [0, 1, 2, 3])
def test_stream_conv_follows_any_split_of_the_padding(padding_left: int) -> None:
    layer = Conv(2, 3, 4, stride=2, padding_left=padding_left)
    x = torch.randn(1, 2, 40, generator=torch.Generator().manual_seed(0))
    for late in range(5):
        stream, late_out = convert(layer, late)
        delayed = torch.cat([torch.ones(1, 2, late), x], -1)[..., :40]
        assert_later(rows_in_blocks(stream, delayed, (1, 3, 2), 2), layer(x), late_out)


@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize("stride", [2, 3, 4, 8])
@pytest.mark.parametrize("bias", [False, True])
def test_stream_upconv(stride: int, lookahead: bool, bias: bool) -> None:
    layer = UpConv(5, 3, stride, bias=bias, lookahead=lookahead)
    x = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(stride))
    for late in (0, 1, 2, 5):
        stream, late_out = convert(layer, late)
        assert late_out == late * stride + (stride // 2 if lookahead else 0)
        delayed = torch.cat([torch.full((2, 5, late), -3.0), x], -1)[..., :24]
        assert_later(rows_in_blocks(stream, delayed, (1, 2, 3, 8), 1), layer(x), late_out)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("dilation", [1, 3, 9])
def test_stream_residual(dilation: int, kernel: int, causal: bool) -> None:
    layer = dilated_unit(4, dilation, kernel=kernel, causal=causal, bias=True)
    x = torch.randn(2, 4, 80, generator=torch.Generator().manual_seed(dilation))
    for late in (0, 1, 4, 7):
        stream, late_out = convert(layer, late)
        wanted = 0 if causal else dilation + (kernel - 1) // 2
        assert late_out - late == wanted
        delayed = torch.cat([torch.zeros(2, 4, late), x], -1)[..., :80]
        assert_later(rows_in_blocks(stream, delayed, (1, 2, 3, 8), 1), layer(x), late_out)


@pytest.mark.parametrize(
    "strides, kernels, left",
    [
        ((4, 2), (8, 4), (4, 2)),
        ((4, 4, 4), (3, 3, 3), (1, 1, 1)),
        ((4, 4, 4), (3, 3, 3), (2, 2, 2)),
        ((2,), (4,), (2,)),
    ],
)
def test_stream_noise(strides, kernels, left, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = NoiseSynth(6, 4, 5, strides, 8, kernels, left, bias=True)
    for conv in (m for m in layer.net if isinstance(m, Conv)):
        conv.weight.mul_(3)
    layer.net[-1].bias.add_(5)
    x = torch.randn(2, 6, 20 * layer.frame, generator=torch.Generator().manual_seed(0))
    for late in (0, 1, 3, 17):
        stream = StreamNoise(layer, late)
        stream.fixed_noise = True
        fixed = stream.fixed[:, None]
        monkeypatch.setattr(
            NoiseSynth,
            "draw",
            lambda self, a, generator=None, fixed=fixed: fixed.expand(len(a), -1, a.shape[2], -1),
        )
        delayed = torch.cat([torch.zeros(2, 6, late), x], -1)[..., : x.shape[-1]]
        assert stream.delay_out % layer.frame == 0
        assert_later(rows_in_blocks(stream, delayed, (1, 2, 3), layer.frame), layer(x), stream.delay_out)


@pytest.mark.parametrize("design", ["kaiser", "refined"])
@pytest.mark.parametrize("n_bands", [4, 8, 16])
def test_stream_filter_bank(n_bands: int, design: str) -> None:
    bank = PQMF(n_bands, design)
    x = signal(40 * n_bands * 4, batch=2, channels=2)
    analysis = StreamAnalysis(bank, 2)
    offline = bank.analysis(x.reshape(4, 1, -1)).reshape(2, 2 * n_bands, -1)
    bands = torch.cat([analysis(block).transpose(1, 2) for block in x.split(2 * n_bands, -1)], -1)
    assert_later(bands, offline, analysis.delay_out)
    for late in (0, 1, 2, 7):
        synthesis = StreamSynthesis(bank, 2, late)
        delayed = torch.cat([torch.ones(2, 2 * n_bands, late), offline], -1)[..., : offline.shape[-1]]
        audio = in_blocks(lambda block, layer=synthesis: layer(block.transpose(1, 2).contiguous()), delayed, (2, 4), 1)
        reference = bank.synthesis(offline.reshape(4, n_bands, -1)).reshape(2, 2, -1)
        assert_later(audio, reference, synthesis.delay_out)


# The whole model ----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_stream_equals_offline(
    name: str, causal: bool, channels: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_width(name, causal=causal, channels=channels)
    audio = signal(sum(BLOCKS) * model.hop_length, batch=batch, channels=channels, seed=11)

    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    output = in_blocks(stream, audio, BLOCKS, model.hop_length)
    offline = model(audio, noise=False)
    assert_later(output, offline, stream.delay_samples)
    assert not output[..., : stream.encode_delay_frames * model.hop_length].any()
    assert matching_shifts(output[0, 0], offline[0, 0]) == [stream.delay_samples]

    if model.decoder.noise is not None:
        stream = StreamingRAVE(model)
        fixed_noise(monkeypatch, model, stream)
        with_noise = model(audio)
        assert (with_noise - offline).abs().max() > 0.01
        assert_later(in_blocks(stream, audio, BLOCKS, model.hop_length), with_noise, stream.delay_samples)


@pytest.mark.parametrize("name", PRESETS)
def test_causal_model_whose_upsampling_looks_ahead(name: str) -> None:
    model = tiny_width(name, causal=True, published_causal=True)
    audio = signal(20 * model.hop_length, seed=2)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    assert_later(in_blocks(stream, audio, BLOCKS, model.hop_length), model(audio, noise=False), stream.delay_samples)
    assert stream.decode_delay_samples > StreamingRAVE(tiny_width(name, causal=True)).decode_delay_samples


@pytest.mark.parametrize("name", PRESETS)
def test_full_width(name: str) -> None:
    model = realistic(RAVE(preset(name)), 5)
    audio = signal(20 * model.hop_length, seed=12)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    assert_later(
        in_blocks(stream, audio, (1, 3, 8, 2), model.hop_length),
        model(audio, noise=False),
        stream.delay_samples,
    )


@pytest.mark.parametrize("bands, pqmf", [(4, "kaiser"), (8, "refined"), (16, "kaiser")])
def test_other_filter_banks(bands: int, pqmf: str) -> None:
    model = tiny_width("tiny", n_bands=bands, pqmf=pqmf)
    audio = signal(2 * sum(BLOCKS) * model.hop_length, seed=4)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    assert_later(in_blocks(stream, audio, BLOCKS, model.hop_length), model(audio, noise=False), stream.delay_samples)


def test_causal_delay_is_the_filter_banks() -> None:
    for name in PRESETS:
        model, centred = tiny_width(name, causal=True), tiny_width(name, causal=False)
        stream = StreamingRAVE(model)
        bank = (model.pqmf.analysis_right + model.pqmf.synthesis_right) * model.config.n_bands
        # All of the encoder's delay is that of the analysis, rounded up to whole frames.
        assert stream.encode_delay_frames * model.hop_length <= bank + model.hop_length
        assert stream.decode_delay_samples == model.pqmf.synthesis_right * model.config.n_bands
        assert stream.delay_samples < StreamingRAVE(centred).delay_samples


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_encode_and_decode_each_equal_offline(name: str, causal: bool) -> None:
    model = tiny_width(name, causal=causal)
    audio = signal(sum(BLOCKS) * model.hop_length, batch=2, seed=6)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    mean, _ = model.encode(audio)
    named, learned = mean.split([model.named, 6], 1)
    wanted = torch.einsum("ij,bjf->bif", model.latent_pca, learned - model.latent_mean[:, None])
    wanted = torch.cat([named, wanted], 1)
    latents = in_blocks(stream.encode, audio, BLOCKS, model.hop_length)
    assert_later(latents, wanted, stream.encode_delay_frames)
    assert_later(
        in_blocks(stream.decode, wanted, BLOCKS, 1),
        model.decode(mean, noise=False),
        stream.decode_delay_samples,
    )


@pytest.mark.parametrize("size", [1, 2, 5])
def test_cut_latents(size: int) -> None:
    model = tiny_width("tiny")
    audio = signal(24 * model.hop_length, seed=7)
    stream = StreamingRAVE(model, model.named + size)
    stream.heads.noise_scale.fill_(0)
    named, learned = model.encode(audio)[0].split([model.named, 6], 1)
    centred = learned - model.latent_mean[:, None]
    latents = torch.einsum("ij,bjf->bif", model.latent_pca, centred)[:, :size]
    kept = torch.einsum("ij,bif->bjf", model.latent_pca[:size], latents) + model.latent_mean[:, None]
    latents, kept = torch.cat([named, latents], 1), torch.cat([named, kept], 1)
    assert_later(in_blocks(stream.encode, audio, (1, 2), model.hop_length), latents, stream.encode_delay_frames)

    stream.latent_noise_scale.fill_(0)
    assert_later(
        in_blocks(stream.decode, latents, (1, 2), 1),
        model.decode(kept, noise=False),
        stream.decode_delay_samples,
    )
    exact = in_blocks(stream.decode, latents, (2,), 1)
    stream.latent_noise_scale.fill_(1)
    assert (in_blocks(stream.decode, latents, (2,), 1) - exact).abs().max() > 0.01


@pytest.mark.parametrize("size", [0, -1, 7])
def test_latent_size_out_of_range(size: int) -> None:
    with pytest.raises(RaveCourseError, match=f"latent_size is {size}; this model has 1 to 6"):
        StreamingRAVE(tiny_width("tiny", harmonics=0), size)
    with pytest.raises(RaveCourseError, match=f"latent_size is {size + 2}; this model has 3 to 8 .*loudness included"):
        StreamingRAVE(tiny_width("tiny"), size + 2)


def test_batch_change_starts_anew() -> None:
    model = tiny_width("tiny")
    first = signal(24 * model.hop_length, batch=1, seed=8)
    second = signal(24 * model.hop_length, batch=3, seed=9)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    for audio in (first, second, first):
        output = in_blocks(stream, audio, (2, 1), model.hop_length)
        assert_later(output, model(audio, noise=False), stream.delay_samples)


def test_members_of_a_batch_do_not_mix() -> None:
    model = tiny_width("v1")
    audio = signal(16 * model.hop_length, batch=3, seed=9)
    changed = audio.clone()
    changed[1] = signal(16 * model.hop_length, seed=10)[0]
    outputs = []
    for x in (audio, changed):
        stream = StreamingRAVE(model)
        stream.heads.noise_scale.fill_(0)
        outputs.append(in_blocks(stream, x, (1, 3), model.hop_length))
    assert torch.equal(outputs[0][[0, 2]], outputs[1][[0, 2]])
    assert not torch.equal(outputs[0][1], outputs[1][1])


def test_the_stream_does_not_change_or_share_the_model() -> None:
    model = tiny_width("v1")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    audio = signal(20 * model.hop_length)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    reference = in_blocks(stream, audio, (1,), model.hop_length)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    for parameter in [*model.parameters(), *model.buffers()]:
        parameter.mul_(0)
    assert torch.equal(in_blocks(stream, audio, (1,), model.hop_length), reference)


def test_not_a_number_passes_and_is_gone() -> None:
    model = tiny_width("tiny")
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    audio = signal(30 * model.hop_length)
    audio[..., 100] = float("nan")
    audio[..., 300] = float("inf")
    output = in_blocks(stream, audio, (1, 2), model.hop_length)
    assert output.isfinite().all()
    assert_later(output, model(audio.nan_to_num(0.0, 0.0, 0.0), noise=False), stream.delay_samples)


def test_an_unknown_layer_is_refused() -> None:
    model = tiny_width("tiny")
    model.encoder.insert(1, nn.Tanh())
    with pytest.raises(RaveCourseError, match="Tanh has no streaming form"):
        StreamingRAVE(model)


# TorchScript --------------------------------------------------------------------------------------


def scripted(stream: StreamingRAVE) -> torch.jit.ScriptModule:
    return torch.jit.script(stream)


@pytest.mark.parametrize("name, causal, channels", [("tiny", False, 2), ("v1", True, 1), ("v2", False, 1)])
def test_scripted_equals_eager(name: str, causal: bool, channels: int) -> None:
    model = tiny_width(name, causal=causal, channels=channels)
    audio = signal(sum(BLOCKS) * model.hop_length, batch=2, channels=channels)
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    script = scripted(stream)
    assert script.delay_samples == stream.delay_samples
    output = in_blocks(script, audio, BLOCKS, model.hop_length)
    assert_later(output, model(audio, noise=False), stream.delay_samples)
    torch.testing.assert_close(output, in_blocks(stream, audio, BLOCKS, model.hop_length), rtol=0, atol=TOLERANCE)


def test_saved_and_loaded_in_mid_stream() -> None:
    model = tiny_width("tiny")
    audio = signal(24 * model.hop_length)
    half = 12 * model.hop_length
    stream = StreamingRAVE(model)
    stream.heads.noise_scale.fill_(0)
    script = scripted(stream)
    with torch.inference_mode():
        start = in_blocks(script, audio[..., :half], (1, 2), model.hop_length)
        file = io.BytesIO()
        torch.jit.save(script, file)
        file.seek(0)
        loaded = torch.jit.load(file)
        rest = in_blocks(loaded, audio[..., half:], (1, 2), model.hop_length)
    output = torch.cat([start, rest], -1).clone()
    assert_later(output, model(audio, noise=False), stream.delay_samples)


def test_inference_mode_and_back() -> None:
    model = tiny_width("tiny")
    audio = signal(24 * model.hop_length)
    half = 12 * model.hop_length
    script = scripted(StreamingRAVE(model))
    script.heads.noise_scale.fill_(0)
    with torch.inference_mode():
        start = in_blocks(script, audio[..., :half], (1,), model.hop_length)
    rest = in_blocks(script, audio[..., half:], (1,), model.hop_length)
    assert_later(torch.cat([start, rest], -1), model(audio, noise=False), script.delay_samples)


def test_memory_does_not_grow() -> None:
    """What a stream keeps depends on the last block only, and is small."""
    stream = StreamingRAVE(tiny_width("tiny"))

    def kept_after(blocks: list[int]) -> int:
        for hops in blocks:
            stream(torch.zeros(1, 1, hops * stream.hop_length))
        return sum(b.untyped_storage().nbytes() for b in stream.buffers())

    steady = kept_after([1] * 20)
    assert kept_after([1] * 40) == steady
    assert kept_after([64, 1]) == steady


# --- reset ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["eager", "scripted"])
@pytest.mark.parametrize(("name", "causal"), [(name, causal) for name in PRESETS for causal in (False, True)])
def test_after_reset_a_stream_is_as_if_just_made(name: str, causal: bool, form: str) -> None:
    """Bit for bit, whatever it played before, and also where the batch was another one."""
    model = tiny_width(name, causal=causal)
    hop = model.hop_length
    x = signal(11 * hop, batch=2)

    def played(stream: nn.Module, audio: Tensor, sizes: tuple[int, ...]) -> dict[str, Tensor]:
        out = {}
        for method, given, unit in (("encode", audio, hop), ("forward", audio, hop)):
            stream.reset()
            torch.manual_seed(0)
            out[method] = in_blocks(getattr(stream, method), given, sizes, unit)
        return out

    fresh = StreamingRAVE(model, 4).eval()
    fresh = torch.jit.script(fresh) if form == "scripted" else fresh
    torch.manual_seed(0)
    first = in_blocks(fresh, x, (1, 2, 3), hop)
    used = StreamingRAVE(model, 4).eval()
    used = torch.jit.script(used) if form == "scripted" else used
    for before in (x, x[:1], 0.5 * x.flip(-1)):
        in_blocks(used, before, (2, 1), hop)
        again = played(used, x, (1, 2, 3))
        assert torch.equal(again["forward"], first)
        in_blocks(used.decode, again["encode"], (1, 3), 1)
        assert torch.equal(played(used, x, (1, 2, 3))["encode"], again["encode"])
