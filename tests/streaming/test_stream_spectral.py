"""The spectrum that the encoder hears, over blocks of any size: as offline, later by its delay."""

import io

import pytest
import torch

from ravecourse.config import preset
from ravecourse.model import RAVE
from ravecourse.streaming import StreamingRAVE
from ravecourse.streaming.spectral import StreamSpectralEncoder

FRAMES = 96
SIZES = [(1,), (2, 3, 1), (4,), (7, 1, 16), (96,)]


def sound(model: RAVE, batch: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = 0.2 * torch.randn(batch, model.channels, FRAMES * model.hop_length, generator=generator)
    noise[..., 30 * model.hop_length : 50 * model.hop_length] = 0
    return noise


def blocks(audio: torch.Tensor, sizes: tuple[int, ...], hop: int) -> list[torch.Tensor]:
    return list(audio.split([size * hop for size in sizes * (FRAMES // sum(sizes))], -1))


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["tiny", "low_latency", "small"])
def test_the_ear_equals_offline(name: str, channels: int, sizes: tuple[int, ...]) -> None:
    model = RAVE(preset(name, channels=channels)).eval()
    assert model.spectral_encoder is not None
    audio, stream = sound(model), StreamSpectralEncoder(model.spectral_encoder)
    assert stream.delay_out == model.spectral_encoder.lookahead_frames
    with torch.no_grad():
        wanted = model.spectral_encoder(audio).transpose(1, 2)
        for _ in range(2):
            got = torch.cat([stream(part) for part in blocks(audio, sizes, model.hop_length)], 1)
            torch.testing.assert_close(
                got[:, stream.delay_out :], wanted[:, : FRAMES - stream.delay_out], rtol=0, atol=1e-5
            )
            stream.reset()


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("latent_size", [None, 3])
def test_a_model_without_a_source_that_hears_spectra(
    latent_size: int | None, causal: bool, sizes: tuple[int, ...]
) -> None:
    model = RAVE(preset("tiny", harmonics=0, causal=causal)).eval()
    model.latent_mean.uniform_(-1, 1)
    model.latent_pca.copy_(torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2)))[0])
    stream = StreamingRAVE(model, latent_size)
    audio, kept = sound(model), stream.latent_size
    delay = stream.encode_delay_frames
    with torch.no_grad():
        mean = model.encode(audio)[0].transpose(1, 2)
        wanted = ((mean - model.latent_mean) @ model.latent_pca.T)[..., :kept].transpose(1, 2)
        got = torch.cat([stream.encode(part) for part in blocks(audio, sizes, model.hop_length)], 2)
    torch.testing.assert_close(got[..., delay:], wanted[..., : FRAMES - delay], rtol=0, atol=1e-5)


def test_it_scripts_and_a_change_of_batch_starts_anew() -> None:
    model = RAVE(preset("tiny")).eval()
    assert model.spectral_encoder is not None
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(StreamSpectralEncoder(model.spectral_encoder)), buffer)
    buffer.seek(0)
    scripted = torch.jit.load(buffer)
    audio = sound(model, batch=2)
    scripted(audio[:1])
    torch.testing.assert_close(scripted(audio), StreamSpectralEncoder(model.spectral_encoder)(audio), rtol=0, atol=1e-6)


@pytest.mark.parametrize("harmonics", [0, 64])
@pytest.mark.parametrize("mel_bands", [0, 80])
def test_every_combination_scripts(mel_bands: int, harmonics: int) -> None:
    model = RAVE(preset("tiny", mel_bands=mel_bands, harmonics=harmonics)).eval()
    stream, audio = StreamingRAVE(model), sound(model)
    stream.heads.noise_scale.fill_(0)
    scripted = torch.jit.script(stream)
    with torch.no_grad():
        wanted = model(audio, noise=False)
        got = torch.cat([scripted(part) for part in blocks(audio, (3, 5), model.hop_length)], 2)
    delay = stream.delay_samples
    torch.testing.assert_close(got[..., delay:], wanted[..., : wanted.shape[-1] - delay], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rate", [8000, 16000, 96000])
def test_windows_shorter_or_longer_than_a_hop(rate: int, causal: bool, sizes: tuple[int, ...]) -> None:
    model = RAVE(preset("small", sample_rate=rate, causal=causal)).eval()
    assert model.controls is not None and model.spectral_encoder is not None
    assert (
        (model.controls.window > model.hop_length)
        == (model.spectral_encoder.window > model.hop_length)
        == (rate > 48000)
    )
    stream, audio = StreamingRAVE(model), sound(model)
    delay = stream.encode_delay_frames
    with torch.no_grad():
        wanted = model.encode(audio)[0]
        for _ in range(2):
            got = torch.cat([stream.encode(part) for part in blocks(audio, sizes, model.hop_length)], 2)
            torch.testing.assert_close(got[..., delay:], wanted[..., : FRAMES - delay], rtol=0, atol=1e-5)
            stream.reset()
