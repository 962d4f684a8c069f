"""How loud a sound is: peak, root mean square, and loudness as ears hear it."""

import math

import numpy as np
import torch
from scipy.signal import sosfilt
from torch import Tensor

SILENCE_DB = -60.0  # a tenth of a second below this counts as silence
ABSOLUTE_GATE = -70.0  # LUFS
RELATIVE_GATE = -10.0  # LU below the mean of what passed the absolute gate
OFFSET = -0.691  # makes a 997 Hz sine at full scale read -3.01 LUFS


def decibels(amplitude: float) -> float:
    """Convert an amplitude, 1.0 being full scale, to dBFS; zero is -inf.

    Notebook: 01.
    """
    return 20.0 * math.log10(amplitude) if amplitude > 0 else -math.inf


def peak_db(audio: Tensor) -> float:
    """Return the largest sample of `audio` (any shape) in dBFS; silence is -inf.

    Notebook: 01.
    """
    return decibels(float(audio.abs().max())) if audio.numel() else -math.inf


def rms_db(audio: Tensor) -> float:
    """Return the root mean square of `audio` (any shape) in dBFS: a full-scale sine is -3.01.

    Notebook: 01.
    """
    return decibels(math.sqrt(float(audio.double().square().mean()))) if audio.numel() else -math.inf


def k_weighting(sample_rate: int) -> np.ndarray:
    """Design the two filters that stand for the head and for the ear's deafness to low notes.

    At 48 kHz they are the ones of the standard's tables; at other rates the same analogue filters, by
    bilinear transform.

    Args:
        sample_rate: in Hz.

    Returns:
        second-order sections `[2, 6]` for `scipy.signal.sosfilt`.

    Source: ITU-R BS.1770-5, annex 1, tables 1 and 2 (frequencies, gains and widths fitted to the tables).
    Notebook: 01.
    """

    def section(hertz: float, q: float, high: float, band: float, low: float) -> list[float]:
        k = math.tan(math.pi * min(hertz, 0.49 * sample_rate) / sample_rate)
        a0 = 1 + k / q + k * k
        return [
            (high + band * k / q + low * k * k) / a0,
            2 * (low * k * k - high) / a0,
            (high - band * k / q + low * k * k) / a0,
            1.0,
            2 * (k * k - 1) / a0,
            (1 - k / q + k * k) / a0,
        ]

    gain = 10 ** (3.999843853973347 / 20)
    shelf = section(1681.974450955533, 0.7071752369554196, gain, gain**0.4996667741545416, 1.0)
    rumble = section(38.13547087602444, 0.5003270373238773, 1.0, 0.0, 0.0)
    rumble[:3] = [1.0, -2.0, 1.0]  # the standard leaves this filter's gain as it is
    return np.array([shelf, rumble])


class Meter:
    """Measures a sound that arrives in blocks, in little memory: 10 numbers a second.

    Args:
        sample_rate: in Hz.
        channels: how many; each counts alike (the standard's extra weight for surround channels is not
            applied).

    Source: ITU-R BS.1770-5, annex 1. Notebook: 01.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.peak = 0.0
        self.samples = 0
        self.steps: list[float] = []  # K-weighted power of each tenth of a second
        self.plain_steps: list[float] = []  # and the power without weighting, mean over channels
        self._hop = max(1, round(0.1 * sample_rate))
        self._filter = k_weighting(sample_rate)
        self._state = np.zeros((2, channels, 2))
        self._rest = np.zeros((2, channels, 0))  # filtered and plain samples of an unfinished tenth

    def add(self, block: np.ndarray) -> None:
        """Take the next samples `[C, n]`."""
        if block.shape[1] == 0:
            return
        self.samples += block.shape[1]
        self.peak = max(self.peak, float(np.abs(block).max()))
        filtered, self._state = sosfilt(self._filter, block.astype(np.float64), axis=1, zi=self._state)
        both = np.concatenate([self._rest, np.stack([filtered, block])], axis=2)  # [2, C, rest + n]
        count = both.shape[2] // self._hop
        whole, self._rest = both[:, :, : count * self._hop], both[:, :, count * self._hop :]
        power = np.square(whole.reshape(2, whole.shape[1], count, self._hop)).mean(axis=3)  # [2, C, count]
        self.steps += power[0].sum(axis=0).tolist()
        self.plain_steps += power[1].mean(axis=0).tolist()

    def windows(self) -> np.ndarray:
        """K-weighted power of each window of 0.4 s, a new one every 0.1 s; a sound shorter than that is one
        window.
        """
        steps = np.array(self.steps)
        if len(steps) >= 4:
            return np.convolve(steps, np.full(4, 0.25), "valid")
        total = steps.sum() * self._hop + np.square(self._rest[0]).sum()
        return np.array([total / self.samples]) if self.samples else np.zeros(0)

    def quiet(self) -> np.ndarray:
        """Whether each tenth of a second is below SILENCE_DB, a constant offset apart; bool `[n]`."""
        limit = 10 ** (SILENCE_DB / 10)
        steps, plain = np.array(self.steps), np.array(self.plain_steps)
        return (plain < limit) | (steps < limit * 1e-2)  # a filter of the weighting takes offsets out

    def quiet_steps(self) -> int:
        """How many tenths of a second are below SILENCE_DB."""
        return int(self.quiet().sum())


def gated_lufs(windows: np.ndarray) -> float:
    """Average window powers `[n]` into one loudness in LUFS, leaving out pauses; silence is -inf.

    Source: ITU-R BS.1770-5, annex 1, gating. Notebook: 01.
    """

    def level(powers: np.ndarray) -> float:
        return OFFSET + 10 * math.log10(powers.mean())

    heard = windows[windows > 10 ** ((ABSOLUTE_GATE - OFFSET) / 10)]
    if len(heard) == 0:
        return -math.inf
    return level(heard[heard > 10 ** ((level(heard) + RELATIVE_GATE - OFFSET) / 10)])


def loudness_lufs(audio: Tensor, sample_rate: int) -> float:
    """Measure the loudness of `audio` in LUFS; silence is -inf. Under 0.4 s all of it is one window.

    Args:
        audio: `[C, T]`, full scale 1.0.
        sample_rate: in Hz.

    Source: ITU-R BS.1770-5. Notebook: 01.
    """
    meter = Meter(sample_rate, audio.shape[0])
    meter.add(audio.detach().cpu().numpy())
    return gated_lufs(meter.windows())


def match_loudness(audio: Tensor, sample_rate: int, target_lufs: float = -23.0) -> Tensor:
    """Scale `audio` to a loudness, but never past a peak of -0.1 dBFS: what would clip ends quieter.

    Silence comes back as it is. `loudness_lufs` of the result says what was reached.

    Args:
        audio: `[C, T]`.
        sample_rate: in Hz.
        target_lufs: the loudness to reach; -23 is that of European broadcast.

    Source: EBU R 128 for the default target. Notebook: 01.
    """
    loudness = loudness_lufs(audio, sample_rate)
    if math.isinf(loudness):
        return audio
    gain_db = min(target_lufs - loudness, -0.1 - peak_db(audio))
    return audio * torch.tensor(10 ** (gain_db / 20), dtype=audio.dtype, device=audio.device)
