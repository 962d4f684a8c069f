"""Read values out of the settings file that the original RAVE leaves beside its checkpoints.

Only literal values and references to them are read; nothing in the file is run.

Notebook: 10.
"""

import ast
import re
from pathlib import Path
from typing import Any


class Settings:
    """The `NAME = value` lines of a `config.gin`, scopes and module paths left aside.

    Args:
        text: the file's content.
    Notebook: 10.
    """

    def __init__(self, text: str = "") -> None:
        self._values: list[tuple[str, Any]] = []
        macros: dict[str, Any] = {}
        joined = re.sub(r"\\?\n[ \t]+", " ", text)  # a value that continues starts its next line with a space
        for line in joined.splitlines():
            found = re.match(r"([\w./]+)\s*=\s*(.+)$", line)
            if not found:
                continue
            name, value = found[1], found[2].strip()
            if value.startswith("%"):
                value = macros.get(value[1:])
            else:
                try:
                    value = ast.literal_eval(value)
                except (ValueError, SyntaxError):  # a reference to a function, such as @blocks.GeneratorV2
                    continue
            if "." in name:
                self._values.append((name.split("/")[-1], value))
            else:
                macros[name] = value

    @classmethod
    def beside(cls, file: Path) -> "Settings":
        """Those of the `config.gin` beside `file` or in the three folders above; empty where there is none.

        Notebook: 10.
        """
        for folder in list(file.resolve().parents)[:4]:
            if (folder / "config.gin").is_file():
                return cls((folder / "config.gin").read_text(encoding="utf-8", errors="replace"))
        return cls()

    def all(self, name: str) -> list[Any]:
        """Every value of `name`, such as "EncoderV2.dilations", whatever stands before it. Notebook: 10."""
        return [value for key, value in self._values if key == name or key.endswith(f".{name}")]

    def one(self, name: str, default: Any) -> Any:
        """The first value of `name`, or `default`. Notebook: 10."""
        found = [value for value in self.all(name) if value is not None]
        return found[0] if found else default
