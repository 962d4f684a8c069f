"""How fast a model could be at best on this machine, and how far it is from that: prints tables, asserts nothing.

    python -m benchmarks.floor [tiny v2 ...] [--layers v2] [--seconds 1]

A block of one hop cannot be computed before each weight has been read once, nor before all its products are done. Both
times follow from counting, and from two numbers of the machine that are measured on one thread: how fast it reads an
array of the size of the weights, and how fast it multiplies large matrices.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ravecourse.config import PRESETS, ModelConfig, preset
from ravecourse.evaluation import preset_table
from ravecourse.model import RAVE
from ravecourse.runtime import threads
from ravecourse.streaming import PRECISIONS, StreamConv, StreamingRAVE

MATRIX = 2048
FLUSH = 100_000_000  # bytes, more than any cache holds


@dataclass(frozen=True)
class Layer:
    """One matrix product of the streaming model, for a block of one hop.

    Args:
        rows: of its output; products: multiply-adds; weight_bytes: what it reads of weights.
    """

    name: str
    module: StreamConv
    rows: int
    products: int
    weight_bytes: int


def layers(stream: StreamingRAVE) -> list[Layer]:
    """Every convolution of the model, counted while one hop runs through encoder and decoder."""
    rows: dict[str, int] = {}

    def counting(name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            rows[name] = rows.get(name, 0) + output.shape[0] * output.shape[1]

        return hook

    convolutions = {name: module for name, module in stream.named_modules() if isinstance(module, StreamConv)}
    hooks = [module.register_forward_hook(counting(name)) for name, module in convolutions.items()]
    with torch.inference_mode():
        stream.encode(torch.zeros(1, stream.channels, stream.hop_length))
        stream.decode(torch.zeros(1, stream.latent_size, 1))
    for hook in hooks:
        hook.remove()
    return [
        Layer(
            name,
            module,
            rows[name],
            rows[name] * module.weight.numel(),
            module.weight.numel() * module.weight.element_size(),
        )
        for name, module in convolutions.items()
    ]


def best_seconds(call: Callable[[], object], seconds: float) -> float:
    """The shortest time of `call`, tried for `seconds`: what the machine can do when nothing else disturbs it.

    The thread's own time: what the scheduler gives to others is no part of it.
    """
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.thread_time()
        call()
        best = min(best, time.thread_time() - start)
    return best


def read_rate(n_bytes: int, seconds: float) -> float:
    """Bytes a second at which one thread reads an array of `n_bytes` again and again."""
    halves = torch.ones(2, max(n_bytes // 8, 16))
    return halves.numel() * 4 / best_seconds(lambda: torch.dot(halves[0], halves[1]), seconds)


def product_rate(seconds: float, size: int = MATRIX) -> float:
    """Multiply-adds a second of one thread in a product of two large float32 matrices."""
    a, b = torch.ones(size, size), torch.ones(size, size)
    return size**3 / best_seconds(lambda: a @ b, seconds)


def floor_ms(weight_bytes: int, products: int, bytes_a_second: float, products_a_second: float) -> tuple[float, float]:
    """Milliseconds below which no block can be: reading and computing at the same time, and one after the other."""
    reading, computing = 1000 * weight_bytes / bytes_a_second, 1000 * products / products_a_second
    return max(reading, computing), reading + computing


def untrained(config: ModelConfig) -> StreamingRAVE:
    """The streaming form as a finished model is played, with random weights."""
    model = RAVE(config).eval()
    model.noise_level.fill_(1.0)
    return StreamingRAVE(model).eval()


def show_floor(configs: list[ModelConfig], seconds: float) -> None:
    """One line for each configuration."""
    rate = product_rate(seconds)
    print(
        f"One thread, {torch.backends.cpu.get_cpu_capability()}: reads {read_rate(1 << 30, seconds) / 1e9:.1f} GB/s "
        f"from memory (1 GiB), multiplies {rate / 1e9:.1f} G a second ({MATRIX} x {MATRIX} float32)."
    )
    print(
        f"{'preset':19}{'weights':>9}{'read at':>11}{'products':>10}{'reading':>10}{'computing':>11}{'floor':>9}"
        f"{'in turn':>9}{'median':>9}{'distance':>10}{'layers':>8}"
    )
    for config in configs:
        found = layers(untrained(config))
        weight_bytes, products = sum(x.weight_bytes for x in found), sum(x.products for x in found)
        reads = read_rate(weight_bytes, seconds / 2)
        both, in_turn = floor_ms(weight_bytes, products, reads, rate)
        median = preset_table.row(config, seconds).speed.median_ms
        name = config.preset + (" causal" if config.causal and not PRESETS[config.preset].causal else "")
        reading, computing = 1000 * weight_bytes / reads, 1000 * products / rate
        print(
            f"{name:19}{weight_bytes / 1e6:>6.1f} MB{reads / 1e9:>6.1f} GB/s{products / 1e6:>8.1f} M"
            f"{reading:>7.2f} ms{computing:>8.2f} ms{both:>6.2f} ms{in_turn:>6.2f} ms{median:>6.2f} ms"
            f"{median / both:>8.1f} x{len(found):>8}",
            flush=True,
        )
    print("floor: the longer of reading and computing. in turn: their sum. median: a block of one hop, streamed.\n")


def show_layers(config: ModelConfig, seconds: float, count: int = 8) -> None:
    """Where the time goes: the layers that take longest for a block of one hop, and at 1, 2 and 8 rows of output."""

    def timed(conv: StreamConv, rows: int) -> float:
        x = torch.ones(1, rows * conv.stride, conv.inputs)
        return 1000 * best_seconds(lambda: conv(x), seconds / 40)

    with torch.inference_mode():
        table = [
            (layer, [timed(layer.module, rows) for rows in (layer.rows, 1, 2, 8)])
            for layer in layers(untrained(config))
        ]
    total = [sum(column) for column in zip(*(times for _, times in table), strict=True)]
    print(f"Where the time of {config.preset} goes, each layer by itself (ms):")
    print(
        f"{'layer':28}{'inputs':>7}{'taps':>5}{'outputs':>8}{'rows':>5}{'one hop':>9}{'share':>7}"
        f"{'1 row':>8}{'2 rows':>8}{'8 rows':>8}"
    )
    for layer, times in sorted(table, key=lambda entry: -entry[1][0])[:count]:
        conv = layer.module
        print(
            f"{layer.name:28}{conv.inputs:>7}{conv.taps:>5}{len(conv.bias):>8}{layer.rows:>5}{times[0]:>9.3f}"
            f"{times[0] / total[0]:>7.1%}" + "".join(f"{t:>8.3f}" for t in times[1:])
        )
    print(f"{f'all {len(table)} layers':53}{total[0]:>9.3f}{'':7}" + "".join(f"{t:>8.3f}" for t in total[1:]))


def show_from_memory(config: ModelConfig, seconds: float, count: int = 4) -> None:
    """The widest layers with weights that no cache holds, as in a stream of the whole model, against reading alone.

    Many copies of a layer take turns.
    """
    reads = read_rate(1 << 30, seconds)
    print(
        f"\nThe widest layers of {config.preset} with weights from memory, microseconds (reading at "
        f"{reads / 1e9:.1f} GB/s):"
    )
    print(f"{'weights':>12}{'precision':>11}{'reading':>9}{'1 row':>8}{'2 rows':>8}{'4 rows':>8}{'8 rows':>8}")
    model = RAVE(config).eval()
    for precision in PRECISIONS:
        widest = {tuple(layer.module.weight.shape): layer for layer in layers(StreamingRAVE(model, None, precision))}
        for layer in sorted(widest.values(), key=lambda layer: -layer.weight_bytes)[:count]:
            copies = [copy.deepcopy(layer.module) for _ in range(max(4, FLUSH // layer.weight_bytes))]
            times = [_microseconds(copies, rows, seconds / 4) for rows in (1, 2, 4, 8)]
            print(
                f"{layer.module.weight.numel() / 1e6:>10.2f} M{precision:>11}{1e6 * layer.weight_bytes / reads:>9.0f}"
                + "".join(f"{t:>8.0f}" for t in times),
                flush=True,
            )


def _microseconds(copies: list[StreamConv], rows: int, seconds: float) -> float:
    """The shortest mean time of a layer over all copies, tried for `seconds`."""
    x = torch.ones(1, rows * copies[0].stride, copies[0].inputs)
    with torch.inference_mode():
        return 1e6 * best_seconds(lambda: [conv(x) for conv in copies], seconds) / len(copies)


def main(arguments: list[str]) -> None:
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(PRESETS), metavar="PRESET", help="(default: all)")
    parser.add_argument("--layers", default="v2", metavar="PRESET", help="show its layers (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of timing for each line")
    options = parser.parse_args(arguments)
    with threads(1):
        show_floor(
            [preset(name, causal=causal) for name in options.names for causal in sorted({preset(name).causal, True})],
            options.seconds,
        )
        show_layers(preset(options.layers), options.seconds)
        show_from_memory(preset(options.layers), options.seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
