"""The widgets, moved from Python: picture and sound follow, counts mean what they say, a stop keeps the training."""

import asyncio
import datetime
import html
import io
import threading
import time
import wave
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import ipywidgets
import matplotlib.image
import numpy as np
import pytest
import soundfile
import torch
from helpers import realistic, signal
from matplotlib.figure import Figure
from scipy.stats import binom

from ravecourse.audio.loudness import loudness_lufs
from ravecourse.config import preset, training_preset
from ravecourse.course import widgets
from ravecourse.course.listening import LISTENING_LUFS
from ravecourse.course.widgets import abx, base
from ravecourse.dataset.preparation import prepare
from ravecourse.dataset.store import Dataset
from ravecourse.errors import RaveCourseError
from ravecourse.evaluation import through
from ravecourse.model import checkpoint
from ravecourse.model.rave import RAVE
from ravecourse.streaming.model import StreamingRAVE
from ravecourse.training.loop import train
from ravecourse.training.monitor import Progress

RATE = 16000
TINY = preset("tiny", sample_rate=RATE, capacity=8, latent_size=4, noise_capacity=8)
BIT = 1 / 32767


@pytest.fixture(scope="module")
def model() -> RAVE:
    return realistic(RAVE(TINY))


@pytest.fixture(scope="module")
def recording() -> torch.Tensor:
    return signal(RATE, sample_rate=RATE)[0]  # [1, T]


def decoded(player: ipywidgets.Audio) -> torch.Tensor:
    """What a player plays: [C, T], -1 to 1."""
    with wave.open(io.BytesIO(player.value)) as file:
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return torch.tensor(samples.T / 32767, dtype=torch.float32)


def pixels(image: ipywidgets.Image) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(image.value), format="png")


def everything(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


def all_of_them(model: RAVE, recording: torch.Tensor) -> list[base.CourseWidget]:
    return [
        widgets.LatentExplorer(model, recording, seconds=0.5),
        widgets.TraceScrubber(model, recording),
        widgets.BlockViewer(model, recording, seconds=0.3),
        widgets.ABX(recording, -recording, RATE),
        widgets.OwnSound({"tiny": model}, recording, seconds=0.3),
        widgets.LiveCurves(),
    ]


# --- what all share


def test_controls_are_labelled_and_players_stay_silent_until_asked(model: RAVE, recording: torch.Tensor) -> None:
    for widget in all_of_them(model, recording):
        found = list(everything(widget.box))
        assert widget.image in found
        for control in found:
            if "description" in control.keys and not isinstance(control, (ipywidgets.Label, ipywidgets.HTML)):
                assert control.description and control.tooltip, (widget, control)
            if hasattr(control, "continuous_update"):
                assert control.continuous_update is False
            if isinstance(control, ipywidgets.Audio):
                assert not control.autoplay
            if isinstance(control, (ipywidgets.Audio, ipywidgets.Image)):
                assert control.tooltip is None  # ipywidgets 8.1 shows none of the two with a tooltip


def test_pictures_have_a_white_ground_for_dark_pages(model: RAVE, recording: torch.Tensor) -> None:
    for widget in all_of_them(model, recording):
        corner = pixels(widget.image)[:2, :2].reshape(4, -1)
        assert (corner == 1).all()


@pytest.mark.parametrize("setting", ["live", "static"])
def test_each_shows_itself_live_or_still(
    model: RAVE, recording: torch.Tensor, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(base.SETTING, setting)
    shown: list[Any] = []
    monkeypatch.setattr(base, "display", lambda thing, raw=False: shown.append(thing))
    players: list[Any] = []
    monkeypatch.setattr(base, "listen", lambda sounds, rate: players.append((sounds, rate)))
    for widget in all_of_them(model, recording):
        shown.clear(), players.clear()
        if isinstance(widget, widgets.LiveCurves):
            widget._ipython_display_()
            assert bool(shown) is (setting == "live")  # nothing to see yet
            widget._collect(told(1, spectral=1.0))
            shown.clear()
        widget._ipython_display_()
        if setting == "static":
            assert isinstance(shown[0], Figure)
            assert [rate for _, rate in players] == [RATE] * bool(widget.sounds())
        else:
            assert "application/vnd.jupyter.widget-view+json" in shown[0]
            assert shown[0]["image/png"].startswith("iVBOR")  # also for a page that knows no widgets
            assert not players


@pytest.mark.parametrize(
    "kernel, server, extra, expected",
    [
        (False, True, {}, False),
        (True, False, {}, False),
        (True, True, {}, True),
        (True, False, {"__vsc_ipynb_file__": "a.ipynb"}, True),
    ],
)
def test_they_are_live_where_a_person_has_the_notebook_open(
    kernel: bool, server: bool, extra: dict, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(base.SETTING, raising=False)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    if server:
        monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    shell = SimpleNamespace(kernel=object(), user_ns=extra) if kernel else None
    monkeypatch.setattr(base, "get_ipython", lambda: shell)
    assert widgets.live() is expected
    for wanted in ("live", "static"):
        monkeypatch.setenv(base.SETTING, wanted)
        assert widgets.live() is (wanted == "live")


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_holds_the_sound_and_clips(channels: int) -> None:
    audio = torch.linspace(-1.5, 1.5, 1001).repeat(channels, 1)
    found = decoded(base.player(audio, RATE))
    assert found.shape == audio.shape
    assert (found - audio.clamp(-1, 1)).abs().max() <= BIT / 2 + 1e-6


@pytest.mark.parametrize("level", [0.01, 0.1, 0.9])
def test_gain_reaches_the_loudness_of_listening_unless_it_would_clip(level: float) -> None:
    audio = level * signal(RATE, sample_rate=RATE)[0]
    gained = base.levelled(audio, base.listening_gain(audio, RATE))
    assert gained.abs().max() <= base.PEAK + 1e-6
    assert abs(loudness_lufs(gained, RATE) - LISTENING_LUFS) < 0.1
    assert base.listening_gain(torch.zeros(1, RATE), RATE) == 1
    assert base.levelled(audio, 1e4).abs().max() == pytest.approx(base.PEAK)


# --- latent explorer


PLAIN = preset("tiny", sample_rate=RATE, capacity=8, latent_size=4, noise_capacity=8, harmonics=0)


@pytest.fixture(scope="module", params=[TINY, PLAIN], ids=["source", "plain"])
def either(request: pytest.FixtureRequest) -> RAVE:
    return realistic(RAVE(request.param))


def low_tone(samples: int = RATE) -> torch.Tensor:
    """A harmonic tone of 110 Hz, note 45, `[1, T]`, between silences."""
    time = torch.arange(samples) / RATE
    sound = sum(torch.sin(2 * torch.pi * 110 * k * time) / k for k in range(1, 6))
    return (0.2 * sound * ((time > 0.25 * time[-1]) & (time < 0.8 * time[-1])))[None]


def test_the_sound_is_that_of_the_latents(either: RAVE, recording: torch.Tensor) -> None:
    model, named = either, either.named
    explorer = widgets.LatentExplorer(model, recording, seconds=0.5)
    cut = recording[:, : round(0.5 * RATE / TINY.hop_length) * TINY.hop_length]
    mean = model.encode(cut[None])[0].detach()
    still = model.decode(mean, generator=torch.Generator().manual_seed(0))[0].detach()
    gain = base.listening_gain(still, RATE)
    assert torch.allclose(explorer.latents(), mean, atol=1e-4)
    for i, value in [(0, 1.5), (2, -2.0), (0, 0.0)]:
        before, sound = explorer.image.value, explorer.player.value
        explorer.sliders[named + i].value = value
        assert explorer.image.value != before and explorer.player.value != sound
        moved = mean.clone()
        moved[0, named:] += ((explorer.positions[named:] * model.latent_std) @ model.latent_pca)[:, None]
        assert torch.allclose(explorer.latents(), moved, atol=1e-4)
        heard = model.decode(moved, generator=torch.Generator().manual_seed(0))[0].detach()
        factor = min(gain, base.PEAK / float(heard.abs().max()))
        assert (decoded(explorer.player) - factor * heard).abs().max() < 1e-3


@pytest.mark.parametrize("direction", range(4))
def test_a_slider_moves_its_own_direction_by_standard_deviations(
    either: RAVE, recording: torch.Tensor, direction: int
) -> None:
    model, named = either, either.named
    explorer = widgets.LatentExplorer(model, recording, seconds=0.3)
    still = explorer.latents()
    explorer.sliders[named + direction].value = 1.5
    moved = (explorer.latents() - still)[0]
    assert (moved[:named] == 0).all()
    expected = torch.zeros(4)
    expected[direction] = 1.5 * model.latent_std[direction]
    assert torch.allclose(model.latent_pca @ moved[named:].mean(1), expected, atol=1e-4)


def test_pitch_and_loudness_come_first_and_move_what_is_heard(model: RAVE) -> None:
    explorer = widgets.LatentExplorer(model, low_tone(), seconds=1.0)
    assert [control.description for control in explorer.sliders[:3]] == [
        "pitch (note)",
        "loudness (dB)",
        "direction 1 (σ)",
    ]
    pitch, loudness = explorer.sliders[:2]
    assert (pitch.min, pitch.max) == base.NOTES and pitch.value == pytest.approx(45, abs=0.2)
    still = explorer.latents()[0]
    assert (still[0] == 0).any() and (still[0] > 0).any()  # before the tone there is no pitch
    pitch.value, loudness.value = pitch.value + 12, loudness.value - 10
    moved = explorer.latents()[0]
    sung = still[0] > 0
    assert torch.allclose(moved[0, sung], still[0, sung] + 12, atol=1e-4) and (moved[0, ~sung] == 0).all()
    assert torch.allclose(moved[1], (still[1] - 10).clamp(min=0), atol=1e-4)
    assert torch.equal(moved[2:], still[2:])
    explorer.base.value = "a held sound"
    held = explorer.latents()[0]
    assert torch.equal(held, held[:, :1].expand_as(held)) and held[0, 0] == pytest.approx(45, abs=0.2)
    pitch.value = 72.0
    assert torch.allclose(explorer.latents()[0, 0], torch.tensor(72.0))


def test_a_held_sound_starts_at_the_mean_latent(either: RAVE, recording: torch.Tensor) -> None:
    model, named = either, either.named
    explorer = widgets.LatentExplorer(model, seconds=0.25, directions=2)
    assert len(explorer.sliders) == named + 2 and explorer.base.options == ("a held sound",)
    assert torch.allclose(explorer.latents()[0, named:, 3], model.latent_mean)
    assert explorer.latents()[0, :named, 3].tolist() == [60, 80][:named]
    assert explorer.sound().shape[1] == pytest.approx(0.25 * RATE, abs=TINY.hop_length)
    both = widgets.LatentExplorer(model, recording, seconds=0.25)
    before = both.player.value
    both.base.value = "a held sound"
    assert both.player.value != before and torch.allclose(both.latents()[0, named:, 3], model.latent_mean)


def test_reset_and_random_draw_once(either: RAVE, recording: torch.Tensor) -> None:
    model, named = either, either.named
    explorer = widgets.LatentExplorer(model, recording, seconds=0.3, seed=3)
    first, drawn = explorer.player.value, []
    explorer.image.observe(lambda change: drawn.append(1), "value")
    explorer.random_button.click()
    random = explorer.positions
    assert len(drawn) == 1 and random[named:].abs().max() <= 3 and (random[named:] != 0).any()
    assert torch.equal(random[:named], explorer.rest[:named])
    explorer.reset_button.click()
    assert len(drawn) == 2 and explorer.player.value == first and torch.equal(explorer.positions, explorer.rest)
    again = widgets.LatentExplorer(model, recording, seconds=0.3, seed=3)
    again.random()
    assert torch.equal(again.positions, random)
    explorer.autoplay.value = True
    assert explorer.player.autoplay


def test_the_still_form_moves_the_pitch_where_there_is_one(either: RAVE, recording: torch.Tensor) -> None:
    explorer = widgets.LatentExplorer(either, recording, seconds=0.3)
    sounds = explorer.sounds()
    assert ("pitch an octave higher" in sounds) is bool(either.named)
    for label, sound in sounds.items():
        assert torch.equal(sound, explorer.sound()) is (label == "not moved")


def test_the_widgets_leave_the_model_alone_and_refuse_too_little(model: RAVE) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for make in (widgets.LatentExplorer, widgets.TraceScrubber, widgets.BlockViewer):
        with pytest.raises(RaveCourseError, match="longer|blocks"):
            make(model, torch.zeros(1, 10))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


# --- encoder traces


def test_traces_are_the_latent_in_standard_deviations(either: RAVE, recording: torch.Tensor) -> None:
    model, named = either, either.named
    scrubber = widgets.TraceScrubber(model, recording, directions=3)
    mean = model.encode(scrubber.recording[None])[0][0].detach()
    assert scrubber.names == ["pitch", "loudness"][:named] + ["1", "2", "3"]
    assert torch.allclose(scrubber.traces[:named], mean[:named])
    for i in range(3):
        expected = (mean[named:] - model.latent_mean[:, None]).T @ model.latent_pca[i] / model.latent_std[i]
        assert torch.allclose(scrubber.traces[named + i], expected, atol=1e-4)


def test_a_tone_is_told_as_its_note_and_its_level(model: RAVE) -> None:
    scrubber = widgets.TraceScrubber(model, low_tone())
    scrubber.slider.value = 0.5
    note, loudness = scrubber.traces[:2, scrubber.frame].tolist()
    assert note == pytest.approx(45, abs=0.2)
    assert f"pitch {note:.1f}, loudness {loudness:.1f}, " in scrubber.text.value
    low, high = base.NOTES
    assert scrubber._bars[0].get_width() == pytest.approx((2 * note - low - high) / (high - low), abs=1e-5)


def test_the_cursor_tells_and_plays_its_moment(model: RAVE, recording: torch.Tensor) -> None:
    scrubber = widgets.TraceScrubber(model, recording, loop_seconds=0.1)
    first = scrubber.image.value
    hop, fade = TINY.hop_length, round(0.005 * RATE)
    for frame in (5, 20, scrubber.traces.shape[1] - 1):
        scrubber.slider.value = frame * hop / RATE
        assert scrubber.frame == frame
        assert [bar.get_width() for bar in scrubber._bars] == scrubber.placed[:, frame].tolist()
        assert f"frame {frame}:" in scrubber.text.value and scrubber.image.value != first
        heard = decoded(scrubber.player)[:, fade:-fade]
        start = frame * hop + fade
        expected = scrubber.recording[:, start : start + heard.shape[1]]
        assert np.corrcoef(heard[0], expected[0])[0, 1] > 0.999
        assert scrubber.player.loop and decoded(scrubber.player)[:, 0].abs() <= BIT
    scrubber.slider.value = 0
    assert scrubber.image.value == first  # no trace of former cursors stays


# --- live curves


def told(step: int, end: int = 100, **losses: float) -> Progress:
    return Progress(step, 1, 60, end, losses, None)


class Hours:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_drawing_is_rare_but_the_end_is_drawn() -> None:
    timer = Hours()
    curves = widgets.LiveCurves(every=2.0, timer=timer)
    drawn = []
    for step in range(1, 101):
        assert curves(told(step, spectral=1 / step)) is True
        drawn.append(curves.drawings)
        timer.now += 0.1
    assert drawn[-1] == pytest.approx(6, abs=1)  # at 0, 2, 4, 6, 8 s and the end
    assert drawn[-1] == drawn[-2] + 1
    assert "Done: step 100 of 100" in curves.text.value and curves.stop_button.disabled


def test_slow_drawing_makes_itself_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    timer = Hours()
    curves = widgets.LiveCurves(every=1.0, timer=timer)

    def slow(progress: Progress, last: bool) -> None:
        curves.drawings += 1
        timer.now += 0.5

    monkeypatch.setattr(curves, "_redraw", slow)
    for step in range(1, 1001):
        curves(told(step, end=2000, spectral=1.0))
        timer.now += 0.1
    assert 0.5 * curves.drawings <= 1.1 * widgets.curves.SHARE * (timer.now - 100)


def test_a_curve_holds_what_was_told_and_few_points() -> None:
    curves = widgets.LiveCurves(timer=Hours())
    for step in range(1, 3001):
        curves(
            Progress(
                step,
                1 + (step > 1500),
                1500,
                4000,
                {"spectral": 1 / step, "kl": float(step)},
                {"spectral": 0.5} if step >= 2000 else None,
            )
        )
    axes = {axis.get_title(loc="left"): axis for axis in curves.static().axes}
    x, y = axes["spectral"].lines[0].get_data()
    assert len(x) <= 501 and x[-1] == 3000 and y[-1] == 1 / 3000
    assert axes["spectral"].lines[1].get_data()[0].tolist() == [2000]  # held out, once
    assert axes["spectral"].get_yscale() == "log" and axes["kl"].get_ylabel() == "2 x KL (nats)"
    assert any(text.get_text() == "phase two" for text in axes["kl"].texts)


def test_seconds_end_it_and_a_new_training_begins_anew() -> None:
    timer = Hours()
    curves = widgets.LiveCurves(seconds=5, timer=timer)
    answers = []
    for step in range(1, 9):
        answers.append(curves(told(step, spectral=1.0)))
        timer.now += 1
        if not answers[-1]:
            break
    assert answers == [True] * 5 + [False] and curves.stopped and curves.stop_button.disabled
    assert curves(told(7, spectral=0.5)) is True and not curves.stopped  # the training goes on
    assert curves._curves["spectral"] == [(1, 1.0), (7, 0.5)] and not curves.stop_button.disabled
    assert curves(told(1, spectral=2.0)) is True  # another one
    assert curves._curves["spectral"] == [(1, 2.0)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "tones.wav", signal(6 * RATE, sample_rate=RATE)[0, 0].numpy(), RATE)
    prepare([folder], folder / "data", sample_rate=RATE, validation=0.0, progress=False)
    return Dataset(folder / "data")


@pytest.mark.parametrize("setting", ["live", "static"])
def test_the_stop_button_ends_a_training_that_goes_on_later(
    store: Dataset, setting: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(base.SETTING, setting)
    shown: list[Any] = []
    monkeypatch.setattr(base, "display", lambda thing, raw=False: shown.append(thing))
    settings = training_preset(
        "tiny",
        phase_one_steps=5000,
        phase_two_steps=0,
        batch_size=1,
        crop_samples=1024,
        warmup_steps=2,
        stft_scales=(64,),
        band_stft_scales=(32,),
        validation_every=10000,
        phase_probability=0.0,
    )
    curves = widgets.LiveCurves(every=0.05)

    def press() -> None:  # in a thread, as the kernel does while a cell runs
        while not curves._curves:
            time.sleep(0.005)
        curves.stop_button.click()

    presser = threading.Thread(target=press)
    presser.start()
    result = train(store, tmp_path, TINY, settings, device="cpu", progress=False, tensorboard=False, on_step=curves)
    presser.join()
    assert 0 < result.step < 5000 and result.interrupted and "saved" in result.message
    assert f"Stopped at step {result.step} of 5000" in curves.text.value
    assert checkpoint.load(tmp_path).step == result.step
    assert len(shown) == 1 and isinstance(shown[0], dict if setting == "live" else Figure)

    until = result.step + 4
    again = train(
        store, tmp_path, device="cpu", progress=False, tensorboard=False, on_step=lambda progress: progress.step < until
    )
    assert again.step == until and checkpoint.load(tmp_path).step == until


def test_a_press_is_heard_by_the_thread_that_it_was_sent_to() -> None:
    """The kernel leads presses back to the thread that last changed a control, unless it is made to forget that."""
    curves = widgets.LiveCurves(timer=Hours())
    comm = SimpleNamespace(_reply_subshell_id=None)
    base.hear_while_busy(SimpleNamespace(comm=comm))
    assert not hasattr(comm, "_reply_subshell_id")
    base.hear_while_busy(SimpleNamespace(comm=None))
    curves(told(1, spectral=1.0))
    assert "_reply_subshell_id" not in vars(curves.stop_button.comm or SimpleNamespace())


# --- listening test


@pytest.mark.parametrize("trials", [1, 2, 5, 10, 16, 25, 100])
def test_the_probability_is_the_binomial_one(trials: int) -> None:
    for right in range(trials + 1):
        assert abx.by_luck(right, trials) == pytest.approx(binom.sf(right - 1, trials, 0.5), rel=1e-9)
    enough = abx.needed(trials)
    if enough is None:
        assert trials < 5
    else:
        assert abx.by_luck(enough, trials) < 0.05 <= abx.by_luck(enough - 1, trials)


@pytest.mark.parametrize(
    "right, trials, word",
    [
        (10, 10, "you hear a difference"),
        (9, 10, "1.1% of such tests: you hear"),
        (8, 10, "no proof of a difference (9"),
        (0, 10, "100.0%"),
        (40, 40, "fewer than 0.1%"),
        (3, 3, "5 trials or more"),
    ],
)
def test_the_words_say_what_the_count_means(right: int, trials: int, word: str) -> None:
    assert word in abx.meaning(right, trials)


@pytest.fixture
def two_sounds() -> tuple[torch.Tensor, torch.Tensor]:
    return 0.05 * signal(4000, sample_rate=RATE, seed=1)[0], signal(5000, sample_rate=RATE, seed=2)[0]


def test_nothing_but_the_ear_tells_x(two_sounds: tuple[torch.Tensor, torch.Tensor]) -> None:
    test = widgets.ABX(*two_sounds, RATE, trials=12, seed=4)
    seen: list[bytes] = []
    sounds = list(test.sounds().values())
    assert abs(loudness_lufs(sounds[0], RATE) - loudness_lufs(sounds[1], RATE)) < 0.01
    for trial in range(12):
        played = {name: player.value for name, player in test.players.items()}
        assert len({len(value) for value in played.values()}) == 1
        assert len(set(played.values())) == 3 and played["X"] not in seen  # not by comparing bytes either
        seen += played.values()
        assert test.right is None and f"Trial {trial + 1} of 12" in test.text.value
        assert test.image.layout.display == "none"
        heard = decoded(test.players["X"])
        nearest = min("AB", key=lambda name: float((heard - decoded(test.players[name])).abs().max()))
        test.buttons[nearest].click()
    assert test.finished and test.right == 12 and test.image.layout.display is None
    assert "12 of 12 right" in html.unescape(test.text.value) and test.buttons["A"].disabled
    test.answer("A")
    assert len(test.answers) == 12


@pytest.mark.parametrize("trials", [1, 5, 8, 11])
def test_the_order_is_balanced_comes_from_the_seed_and_changes(two_sounds: tuple, trials: int) -> None:
    orders = []
    for seed in (0, 0, 1, 2, 3):
        order = widgets.ABX(*two_sounds, RATE, trials=trials, seed=seed)._order
        assert len(order) == trials and abs(order.count("A") - order.count("B")) == trials % 2
        orders.append("".join(order))
    assert orders[0] == orders[1] and len(set(orders)) > 1


def test_starting_again_forgets_and_shuffles(two_sounds: tuple) -> None:
    test = widgets.ABX(*two_sounds, RATE, trials=10, labels=("first", "<second>"))
    orders = set()
    for _ in range(4):
        for _ in range(10):
            test.answer("B")
        assert test.right == 5 and "&lt;second&gt;" in test.text.value
        orders.add("".join(test._order))
        test.again_button.click()
        assert test.answers == [] and test.right is None
    assert len(orders) > 1
    with pytest.raises(RaveCourseError, match="'C'"):
        test.answer("C")
    with pytest.raises(RaveCourseError, match="0 trials"):
        widgets.ABX(*two_sounds, RATE, trials=0)


def test_where_a_peak_is_in_the_way_both_are_quieter() -> None:
    click = torch.zeros(1, RATE)
    click[:, 100] = 1.0
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    a, b = widgets.ABX(click, noise, RATE).sounds().values()
    assert max(a.abs().max(), b.abs().max()) <= 1
    assert abs(loudness_lufs(a, RATE) - loudness_lufs(b, RATE)) < 0.05


# --- block viewer


@pytest.mark.parametrize("hops", [1, 4])
def test_blocks_with_caches_are_the_offline_output_and_without_they_are_not(
    model: RAVE, recording: torch.Tensor, hops: int
) -> None:
    viewer = widgets.BlockViewer(model, recording, hops=hops, seconds=0.4)
    assert viewer.delay_samples == StreamingRAVE(model).delay_samples > 0
    errors = [viewer.errors(block) for block in range(viewer.count)]
    heard = viewer.cached[:, viewer.delay_samples :]
    assert (heard - viewer.offline[:, : heard.shape[1]]).abs().max() < 1e-4
    assert max(cached for _, cached in errors) < 1e-4
    assert min(alone for alone, _ in errors[1:]) > 1e-2


def test_the_viewer_shows_what_the_layers_hold_and_steps(model: RAVE, recording: torch.Tensor) -> None:
    viewer = widgets.BlockViewer(model, recording, seconds=0.4, caches=3)
    streaming = StreamingRAVE(model).eval()
    streaming.heads.noise_scale.zero_()
    with torch.no_grad():
        for block in range(3):
            streaming(viewer.input[None, :, block * viewer.block_samples : (block + 1) * viewer.block_samples])
    assert viewer.cache_names[0] == "analysis" and len(viewer.caches) == viewer.count
    assert torch.allclose(viewer.caches[2][0], streaming.analysis.conv.rows[0], atol=1e-6)
    assert viewer.cache_names[-1] == "source_wait (wait)"
    assert torch.allclose(viewer.caches[2][-1], streaming.source_wait.rows[0], atol=1e-5)
    viewer.slider.value = 0
    before = viewer.image.value
    viewer.forth.click()
    assert viewer.block == 1 and viewer.image.value != before and "block 1 of" in viewer.text.value
    viewer.back.click()
    viewer.back.click()
    assert viewer.block == 0 and viewer.image.value == before
    viewer.step(1000)
    assert viewer.block == viewer.count - 1
    with pytest.raises(RaveCourseError, match="blocks"):
        widgets.BlockViewer(model, recording, hops=1000)


def test_a_block_of_silence_looks_silent(model: RAVE) -> None:
    half = RATE // 4
    quiet_end = torch.cat([signal(half, sample_rate=RATE)[0], torch.zeros(1, half)], 1)
    viewer = widgets.BlockViewer(model, quiet_end, hops=1, seconds=0.5)
    loud = [axis.get_ylim() for axis in viewer.static(2).axes]
    silent = viewer.static(viewer.count - 1)
    assert [axis.get_ylim() for axis in silent.axes] == loud  # one scale for every block
    line = silent.axes[0].lines[-1].get_ydata()
    assert np.abs(line).max() == 0 and silent.axes[0].get_ylim()[1] > 0.01
    nothing = widgets.BlockViewer(model, torch.zeros(1, RATE), hops=4, seconds=0.5).static()
    assert nothing.axes[0].get_ylim()[1] >= 1e-3  # not the rounding errors of nothing, at full height


def test_the_block_viewer_fits_on_a_laptop(model: RAVE, recording: torch.Tensor) -> None:
    viewer = widgets.BlockViewer(model, recording, seconds=0.4)
    height = pixels(viewer.image).shape[0]
    assert height + 36 + 32 + 96 < 560  # with controls, words and players: a 768 pixel screen less JupyterLab's frame
    assert sum(isinstance(child, ipywidgets.Audio) for child in everything(viewer.box.children[-1])) == 3  # in one row


# --- a sound of one's own


def uploaded(sound: torch.Tensor, rate: int, name: str = "me <1>.wav") -> tuple[dict[str, Any], ...]:
    """What a browser sends for a file."""
    file = io.BytesIO()
    soundfile.write(file, sound.T.numpy(), rate, format="WAV")
    return sent_as(name, file.getvalue())


def sent_as(name: str, content: bytes) -> tuple[dict[str, Any], ...]:
    when = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    return ({"name": name, "type": "", "size": len(content), "content": memoryview(content), "last_modified": when},)


def test_an_upload_goes_through_each_model(model: RAVE, recording: torch.Tensor) -> None:
    other = realistic(RAVE(PLAIN), seed=1)
    own = widgets.OwnSound({"one": model, "two": other}, recording, label="the example", seconds=0.5)
    assert list(own.sounds()) == ["the example", "as one", "as two"]
    before = [player.value for player in own.players]
    picture = own.image.value
    stereo = 0.01 * signal(2 * RATE, sample_rate=2 * RATE, channels=2, seed=5)[0]
    own.upload.value = uploaded(stereo, 2 * RATE)
    assert list(own.sounds()) == ["me <1>.wav", "as one", "as two"]
    assert all(sound.shape == (1, RATE // 2) for sound in own.sounds().values())
    assert all(new.value != old for new, old in zip(own.players, before, strict=True)) and own.image.value != picture
    heard = own.sounds()["me <1>.wav"]
    assert loudness_lufs(heard, RATE) == pytest.approx(LISTENING_LUFS, abs=0.5)  # however softly it was recorded
    with torch.no_grad():
        answer = through(model, heard)
    assert np.corrcoef(answer[0], own.sounds()["as one"][0])[0, 1] > 0.999


@pytest.mark.parametrize(
    "sent, word",
    [
        (uploaded(torch.zeros(1, RATE), RATE), "silent"),
        (uploaded(torch.ones(1, 100), RATE), "0.2 s or more"),
        (sent_as("notes.txt", b"abc"), "notes.txt"),
    ],
)
def test_a_useless_upload_is_told_and_the_sound_stays(
    model: RAVE, recording: torch.Tensor, sent: tuple, word: str
) -> None:
    own = widgets.OwnSound({"one": model}, recording, seconds=0.3)
    before = own.sounds()
    own.upload.value = sent
    assert word in own.text.value and "/tmp" not in own.text.value
    assert all(torch.equal(before[name], sound) for name, sound in own.sounds().items())
    with pytest.raises(RaveCourseError, match="mono models"):
        widgets.OwnSound({}, recording)


# --- many changes at once


@pytest.mark.parametrize("changes", [1, 30])
def test_a_burst_of_changes_is_drawn_once_with_the_last(model: RAVE, recording: torch.Tensor, changes: int) -> None:
    """As a kernel delivers clicks: one after the other, in a running event loop."""
    viewer = widgets.BlockViewer(model, recording, hops=1, seconds=0.5)
    viewer.slider.value = 0
    explorer = widgets.LatentExplorer(model, recording, seconds=0.3)
    drawn: list[str] = []
    viewer.image.observe(lambda change: drawn.append("block"), "value")
    explorer.player.observe(lambda change: drawn.append("latent"), "value")

    async def clicks() -> None:
        for _ in range(changes):
            viewer.forth.click()
            explorer.random_button.click()
            await asyncio.sleep(0)
        assert drawn == []  # and so the kernel takes the next click at once
        await asyncio.sleep(4 * base.LONGEST_BURST_SECONDS)

    asyncio.run(clicks())
    assert sorted(drawn) == ["block", "latent"]
    assert viewer.block == min(changes, viewer.count - 1) and f"block {viewer.block} of" in viewer.text.value
    heard = explorer._audible(explorer.sound())
    assert (decoded(explorer.player) - heard).abs().max() < 2 * BIT


def test_a_long_burst_is_drawn_now_and_then() -> None:
    calls: list[float] = []
    latest = base.Latest(lambda: calls.append(time.monotonic()))

    async def keys() -> None:  # a held arrow key: faster than a burst ends
        end = time.monotonic() + 3 * base.LONGEST_BURST_SECONDS
        while time.monotonic() < end:
            latest()
            await asyncio.sleep(base.BURST_SECONDS / 5)
        await asyncio.sleep(2 * base.LONGEST_BURST_SECONDS)

    asyncio.run(keys())
    assert 2 <= len(calls) <= 6


def test_the_scrubber_goes_on_playing_from_where_the_cursor_is_put(model: RAVE, recording: torch.Tensor) -> None:
    scrubber = widgets.TraceScrubber(model, recording)
    sent: list[object] = []
    scrubber.player.send_state = lambda key=None: sent.append(key)  # type: ignore[method-assign]
    scrubber.autoplay.value = True
    assert scrubber.player.autoplay and sent[-1] == "value"  # loaded again: a browser plays when it loads
    before = scrubber.player.value
    scrubber.slider.value = 10 * scrubber.seconds_per_frame
    assert scrubber.player.autoplay and scrubber.player.value != before
    scrubber.autoplay.value = False
    assert not scrubber.player.autoplay


def test_a_press_while_the_last_curves_are_drawn_ends_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    curves = widgets.LiveCurves(timer=Hours())
    monkeypatch.setattr(curves, "_redraw", lambda progress, last: curves.stop())
    assert curves(told(1, spectral=1.0)) is True  # what was drawn says that it runs
    ended: list[bool] = []
    monkeypatch.setattr(curves, "_redraw", lambda progress, last: ended.append(last))
    assert curves(told(2, spectral=1.0)) is False and ended == [True]
