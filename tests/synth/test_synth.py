"""The bundled instruments: tuning, decay, modes, formants and vibrato by measurement; levels, rests, files."""

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import hilbert, lfilter

from ravecourse.errors import RaveCourseError
from ravecourse.synth import INSTRUMENTS, bars, render, render_folder, rendering, strings, voice, write_clips
from ravecourse.synth.melody import Note, draw_key, melody
from ravecourse.synth.phrases import _sung_pitch


def spectrum(x, rate, size=1 << 19):
    return np.fft.rfftfreq(size, 1 / rate), np.abs(np.fft.rfft(x * np.hanning(len(x)), size))


def strongest(x, rate, low, high):
    f, s = spectrum(x, rate)
    inside = (f > low) & (f < high)
    return f[inside][s[inside].argmax()]


def cents(a, b):
    return 1200 * np.log2(a / b)


def decay_of(x, rate, frequency):
    """60 dB decay time of one partial, from its level in two windows."""
    n = int(0.25 * rate)
    t = np.arange(n) / rate
    probe = np.hanning(n) * np.exp(-2j * np.pi * frequency * t)
    first, second = (abs(np.sum(x[k : k + n] * probe)) for k in (int(0.05 * rate), int(0.35 * rate)))
    return 60 * 0.3 / (20 * np.log10(first / second))


# ---- whole renderings


@pytest.fixture(scope="module", params=[(i, r) for i in INSTRUMENTS for r in (44100, 48000)], ids=str)
def rendering_of(request):
    instrument, rate = request.param
    return instrument, rate, render(instrument, 12.0, seed=3, sample_rate=rate)


def test_level_and_rests(rendering_of):
    _, rate, audio = rendering_of
    assert audio.shape == (1, 12 * rate) and audio.dtype == torch.float32
    assert torch.isfinite(audio).all()
    assert 0.1 < audio.abs().max() < 0.9
    assert abs(audio.mean()) < 1e-5
    blocks = audio[0].reshape(-1, rate // 10).square().mean(1).sqrt()
    sounding = blocks[blocks > 1e-3]
    assert -30 < 20 * torch.log10(sounding.square().mean().sqrt()) < -14
    assert 0.03 < (blocks < 1e-3).float().mean() < 0.7  # rests, but not only rests
    assert audio[0, -1] == 0


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_same_seed_same_bits(instrument):
    first, again, other = (render(instrument, 3.0, seed=s) for s in (5, 5, 6))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.05


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_global_generators_are_left_alone(instrument):
    torch.manual_seed(0)
    np.random.seed(0)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    render(instrument, 1.0)
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1] == np.random.get_state()[1]).all()


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_another_rate_plays_the_same_phrase(instrument):
    envelopes = []
    for rate in (44100, 48000):
        x = render(instrument, 6.0, seed=2, sample_rate=rate)[0]
        envelopes.append(x[: 6 * rate].reshape(-1, rate // 20).square().mean(1).sqrt().numpy())
    assert np.corrcoef(envelopes)[0, 1] > 0.98


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_very_short_and_odd_lengths(instrument):
    for seconds in (1 / 48000, 0.01, 0.3, 1.23456):
        audio = render(instrument, seconds)
        assert audio.shape == (1, round(seconds * 48000)) and torch.isfinite(audio).all()


# ---- strings


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
@pytest.mark.parametrize("frequency", [41.2, 82.41, 196.0, 440.0, 987.8, 1480.0])
def test_string_is_in_tune(frequency, rate):
    x = strings.pluck(frequency, 2.0, rng=np.random.default_rng(0), sample_rate=rate, noise=0.0)
    assert abs(cents(strongest(x, rate, 0.7 * frequency, 1.4 * frequency), frequency)) < 2


@pytest.mark.parametrize("stiffness", [2e-5, 1e-4])
@pytest.mark.parametrize("frequency", [82.41, 196.0, 392.0])
def test_string_partials_are_stretched_by_stiffness(frequency, stiffness):
    x = strings.pluck(frequency, 2.0, rng=np.random.default_rng(0), noise=0.0, stiffness=stiffness, position=0.13)
    for k in (2, 5, 10, 14):
        due = k * frequency * np.sqrt((1 + stiffness * k * k) / (1 + stiffness))
        assert abs(cents(strongest(x, 48000, due - 0.3 * frequency, due + 0.3 * frequency), due)) < 10


def test_string_equals_the_recursion_sample_by_sample():
    frequency, rate = 220.0, 48000
    x = strings.pluck(frequency, 1.0, rng=np.random.default_rng(0), noise=0.0, position=0.25, stiffness=8e-5)
    loop = strings.string_loop(frequency, 4.0, 0.4, 8e-5, rate)
    above, below = np.array([loop.tuning, 1.0]), np.convolve([1.0, loop.tuning], [1.0, -loop.loss])
    for _ in range(strings.DISPERSION_STAGES):
        above, below = np.convolve(above, [loop.dispersion, 1.0]), np.convolve(below, [1.0, loop.dispersion])
    feedback = np.zeros(loop.delay + len(above))
    feedback[: len(below)] += below
    feedback[loop.delay :] -= loop.gain * (1 - loop.loss) * above
    push = np.zeros(rate)
    finger = strings._finger(0.7, 0.5, rate)
    push[: len(finger)] = finger
    trip = 0.25 * rate / frequency
    comb = np.zeros(int(trip) + 2)
    comb[0] = 1
    comb[int(trip) :] -= [1 - trip % 1, trip % 1]
    push = lfilter([1], [1, -np.exp(-2 * np.pi * 0.7 * frequency / rate)], lfilter(comb, [1], push))
    due = lfilter(below, feedback, push)
    assert np.abs(x - due * 0.7**1.3 / np.abs(due).max()).max() < 1e-6


@pytest.mark.parametrize("frequency", [110.0, 330.0])
def test_string_loses_its_high_partials_first(frequency):
    x = strings.pluck(
        frequency,
        1.0,
        rng=np.random.default_rng(0),
        noise=0.0,
        stiffness=0.0,
        position=0.13,
        decay_seconds=3.0,
        high_decay_seconds=0.4,
    )
    times = [decay_of(x, 48000, k * frequency) for k in (1, 4, 9, 14)]
    assert all(a > b for a, b in zip(times, times[1:], strict=False))
    assert times[0] == pytest.approx(3.0, rel=0.1)


def test_string_is_brighter_when_louder():
    def brightness(velocity):
        f, s = spectrum(strings.pluck(196.0, 0.5, rng=np.random.default_rng(0), velocity=velocity), 48000)
        return (f * s).sum() / s.sum()

    assert brightness(0.2) < brightness(0.6) < brightness(1.0)


def test_string_attack_reaches_high():
    x = strings.pluck(196.0, 0.5, rng=np.random.default_rng(0), velocity=0.8, hardness=0.8, noise=0.3)
    f, s = spectrum(x[:960], 48000)
    assert 20 * np.log10(s[(f > 10000) & (f < 15000)].max() / s.max()) > -55


# ---- bars


def test_beam_theory():
    assert bars.beam_ratios(4) == pytest.approx((1, 2.7565, 5.4039, 8.9330), abs=1e-4)
    assert bars.beam_shape(9, 0.0) == pytest.approx(2.0) and np.abs(bars.beam_shape(9, 1.0)) == pytest.approx(2.0)
    assert abs(bars.beam_shape(1, 0.2242)[0]) < 1e-3  # the node where bars are held


@pytest.mark.parametrize("rate", [44100, 48000])
@pytest.mark.parametrize("frequency", [880.0, 1200.0])
def test_bar_modes_are_where_beam_theory_puts_them(frequency, rate):
    x = bars.strike("glockenspiel", frequency, 1.5, rng=np.random.default_rng(0), sample_rate=rate, hardness=0.9)
    for ratio in bars.beam_ratios(4):
        due = ratio * frequency
        assert abs(cents(strongest(x[2400:], rate, 0.95 * due, 1.05 * due), due)) < 3


@pytest.mark.parametrize("kind", list(bars.BARS))
def test_bars_start_from_rest_and_wood_is_shorter_than_metal(kind):
    x = bars.strike(kind, 440.0, 1.5, rng=np.random.default_rng(0))
    assert abs(x[0]) < 0.02 and np.isfinite(x).all()
    late = 20 * np.log10(np.abs(x[48000:60000]).max() / np.abs(x[:12000]).max())
    assert late < -25 if kind in ("marimba", "xylophone", "woodblock") else late > -25


def test_hard_mallets_are_bright():
    def brightness(hardness):
        f, s = spectrum(bars.strike("vibraphone", 300.0, 0.5, rng=np.random.default_rng(0), hardness=hardness), 48000)
        return (f * s).sum() / s.sum()

    assert brightness(0.1) < brightness(0.5) < brightness(0.95)


# ---- voice


@pytest.mark.parametrize("rd", [0.5, 1.0, 1.8, 2.5])
def test_glottal_pulse(rd):
    pulse = voice.glottal_pulse(rd)
    assert abs(pulse.mean()) < 1e-12 and pulse.min() == pytest.approx(-1.0, abs=0.02)
    flow = np.cumsum(pulse)
    assert flow.min() > -0.05 * flow.max()  # air flows one way


@pytest.mark.parametrize("kind", list(voice.VOICES))
@pytest.mark.parametrize("vowel", list(voice.VOWELS))
def test_formants_are_heard_where_the_table_has_them(kind, vowel):
    # Breath alone through the tract has a continuous spectrum: its envelope is the tract.
    length = 4 * 48000
    table = voice.formants(kind, vowel)
    x = voice.sing(
        np.full(length, 100.0),
        np.zeros(length),
        np.tile(table, (220, 1)),
        rng=np.random.default_rng(1),
        breath=np.ones(length),
    )
    pieces = x[: length // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
    f, power = np.fft.rfftfreq(2048, 1 / 48000), (np.abs(np.fft.rfft(pieces)) ** 2).mean(0)
    for formant in table[:3]:
        near = (f > formant - 140) & (f < formant + 140)
        peak = f[near][power[near].argmax()]
        assert abs(peak - formant) < 75, (kind, vowel, formant, peak)


@pytest.mark.parametrize("rate", [44100, 48000])
def test_vibrato_sets_in_late_at_a_singers_rate(rate):
    t = np.arange(4 * rate) / rate
    for seed in range(4):
        pitch = 69 + 12 * np.log2(
            _sung_pitch([Note(0.0, 4.0, 60, 0.7)], t, np.random.default_rng(seed), np.random.default_rng(9), rate) / 440
        )
        swing = pitch[rate : 3 * rate] - np.convolve(pitch, np.ones(rate // 3) / (rate // 3), "same")[rate : 3 * rate]
        cycles = np.sum(np.diff(np.sign(swing[::64])) > 0) / 2
        assert 4.3 <= cycles <= 7
        assert 0.15 < np.percentile(np.abs(swing), 98) < 1.0
        early = pitch[int(0.2 * rate) : int(0.22 * rate)]
        assert np.ptp(early) < 0.5 * np.ptp(swing)


def test_sung_pitch_is_the_pitch_asked_for():
    rate, length = 48000, 96000
    t = np.arange(length) / rate
    asked = 220 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * t))
    x = voice.sing(
        asked,
        np.full(length, 0.6),
        np.tile(voice.formants("tenor", "o"), (110, 1)),
        rng=np.random.default_rng(0),
        breathiness=0.0,
    )
    s = np.fft.rfft(x)
    f = np.fft.rfftfreq(length, 1 / rate)
    s[(f < 150) | (f > 330)] = 0
    found = np.diff(np.unwrap(np.angle(hilbert(np.fft.irfft(s))))) * rate / 2 / np.pi
    found = np.convolve(found, np.hanning(1500) / np.hanning(1500).sum(), "same")[9600:-9600]
    error = cents(found, asked[9600:-9601])
    assert abs(error.mean()) < 5 and np.percentile(np.abs(error), 90) < 25


# ---- melodies


def test_melodies_stay_in_range_and_wander_over_two_octaves():
    pitches = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        notes = melody(rng, draw_key(rng, 48), 48, 84, 8.0, 0.5)
        assert all(48 <= n.pitch <= 84 and 0 <= n.start < 8 and 0.1 < n.velocity <= 1 for n in notes)
        pitches += [n.pitch for n in notes]
    assert np.percentile(pitches, 95) - np.percentile(pitches, 5) > 24


# ---- files and mistakes


def test_folder_is_written_once(tmp_path):
    paths = render_folder(tmp_path, ("bars", "strings"), minutes=0.6, seed=1, progress=False)
    assert [str(p.relative_to(tmp_path)) for p in paths] == [
        "bars/bars_000.wav",
        "bars/bars_001.wav",
        "strings/strings_000.wav",
        "strings/strings_001.wav",
    ]
    assert [soundfile.info(p).frames for p in paths] == [30 * 48000, 6 * 48000] * 2
    assert soundfile.info(paths[0]).subtype == "PCM_24"
    assert not np.array_equal(soundfile.read(paths[0])[0][: 48000 * 6], soundfile.read(paths[1])[0])
    before = [(p.stat().st_mtime_ns, p.read_bytes()) for p in paths]
    assert render_folder(tmp_path, ("bars", "strings"), minutes=0.6, seed=1, progress=False) == paths
    assert [p.stat().st_mtime_ns for p in paths] == [m for m, _ in before]

    paths[1].write_bytes(b"RIFF")  # damaged: made again, to the same bytes
    render_folder(tmp_path, ("bars", "strings"), minutes=0.6, seed=1, progress=False)
    assert [p.read_bytes() for p in paths] == [b for _, b in before]

    theirs = tmp_path / "bars" / "mine.wav"
    theirs.write_bytes(b"x")
    fewer = render_folder(tmp_path, ("bars",), minutes=0.02, seed=2, progress=False)
    assert [p.name for p in fewer] == ["bars_000.wav"] and theirs.exists() and not paths[1].exists()
    assert fewer[0].read_bytes() != before[0][1]


def test_interrupted_rendering_leaves_whole_files_only(tmp_path, monkeypatch):
    whole = rendering.soundfile.write
    calls = []

    def stops(path, data, *rest, **options):
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"RIFF half")
            raise KeyboardInterrupt
        whole(path, data, *rest, **options)

    monkeypatch.setattr(rendering.soundfile, "write", stops)
    monkeypatch.setattr(rendering, "FILE_SECONDS", 1.0)
    with pytest.raises(KeyboardInterrupt):
        render_folder(tmp_path, ("bars",), minutes=0.05, progress=False)
    assert sorted(p.name for p in (tmp_path / "bars").iterdir()) == ["bars_000.wav", "synth.json"]
    first = (tmp_path / "bars" / "bars_000.wav").stat().st_mtime_ns
    paths = render_folder(tmp_path, ("bars",), minutes=0.05, progress=False)
    assert len(paths) == 3 and paths[0].stat().st_mtime_ns == first
    assert all(soundfile.info(p).frames == 48000 for p in paths)


def test_clips(tmp_path):
    for path in write_clips(tmp_path):
        info = soundfile.info(path)
        assert (info.format, info.samplerate, info.channels, info.frames) == ("FLAC", 48000, 1, 7 * 48000)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("kazoo", 1.0), "kazoo.*strings, bars, voice"),
        (("bars", 0.0), "above 0"),
        (("bars", -2.0), "-2"),
        (("bars", float("nan")), "nan"),
        (("bars", 1.0, -1), "-1"),
        (("bars", 1.0, 0, 100), "100 Hz"),
    ],
)
def test_mistakes_are_named(arguments, words):
    with pytest.raises(RaveCourseError, match=words):
        render(*arguments)


def test_mistakes_in_folders_write_nothing(tmp_path):
    with pytest.raises(RaveCourseError, match="kazoo"):
        render_folder(tmp_path, ("bars", "kazoo"), minutes=0.01)
    assert list(tmp_path.iterdir()) == []
