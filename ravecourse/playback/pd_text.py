"""Patches as text: objects in the order of their numbers, and the wires between them.

Notebook: 08.
"""


class Sheet:
    """A patch, or a subpatch, in the making. Source: Pd's file format, puredata.info. Notebook: 08."""

    def __init__(self) -> None:
        self.objects: list[str] = []
        self.wires: list[str] = []

    def add(self, what: str) -> int:
        """Add an object such as "obj metro 100" or "msg stop"; returns its number. Notebook: 08."""
        kind, text = what.split(" ", 1)
        self.objects.append(f"#X {kind} 10 {10 + 25 * len(self.objects)} {text};")
        return len(self.objects) - 1

    def connect(self, *wires: tuple[int, int, int, int]) -> None:
        """Add wires: number of an object and its outlet, number of an object and its inlet. Notebook: 08."""
        self.wires += [f"#X connect {a} {outlet} {b} {inlet};" for a, outlet, b, inlet in wires]

    def chain(self, *objects: int) -> None:
        """Wire the first outlet of each object to the first inlet of the next. Notebook: 08."""
        self.connect(*((a, 0, b, 0) for a, b in zip(objects, objects[1:], strict=False)))

    def text(self) -> str:
        """The lines of the objects and of the wires. Notebook: 08."""
        return "\n".join([*self.objects, *self.wires]) + "\n"

    def subpatch(self, name: str) -> str:
        """The lines that put this sheet into another as `[pd name]`. Notebook: 08."""
        return f"#N canvas 50 50 600 600 {name} 0;\n{self.text()}#X restore 10 500 pd {name};\n"
