"""What people ask of an import or a watcher in a form, as the options of its command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from battery_analysis.ingest.run import ImportRequest


@dataclass(frozen=True)
class Asked:
    """The options of an import that the dashboard offers; empty ones are not given."""

    sample: str = ""
    tags: Sequence[str] = ()
    operator: str = ""
    device: str = ""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    depth: int | None = None
    sample_lookup: bool = False
    archive: bool = True
    reset: bool = False

    @classmethod
    def of(cls, form: Mapping[str, Any]) -> Asked:
        """Return what the values of a form's controls say; tags and globs are separated by commas."""
        listed: dict[str, Any] = {name: _listed(form.get(name)) for name in ("tags", "include", "exclude")}
        texts: dict[str, Any] = {name: str(form.get(name) or "").strip() for name in ("sample", "operator", "device")}
        depth = form.get("depth")
        return cls(
            **texts,
            **listed,
            depth=int(depth) if depth not in (None, "") else None,
            sample_lookup=bool(form.get("sample_lookup")),
            archive=not form.get("no_archive"),
            reset=bool(form.get("reset")),
        )

    def words(self) -> list[str]:
        """Return the options as the command line takes them; with ``=``, since a value may begin with a hyphen."""
        words = [f"--{name}={value}" for name in ("sample", "operator", "device") if (value := getattr(self, name))]
        words += [f"--tags={each}" for each in self.tags]
        words += [f"--include={each}" for each in self.include]
        words += [f"--exclude={each}" for each in self.exclude]
        words += [f"--depth={self.depth}"] if self.depth is not None else []
        flags = {"--sample-lookup": self.sample_lookup, "--no-archive": not self.archive, "--reset": self.reset}
        return [*words, *(name for name, is_set in flags.items() if is_set)]

    def request(self, root: str) -> ImportRequest:
        """Return the same as the importer itself is asked."""
        return ImportRequest(
            root=root,
            include=self.include,
            exclude=self.exclude,
            depth=self.depth,
            sample=self.sample or None,
            sample_lookup=self.sample_lookup,
            archive=self.archive,
            reset=self.reset,
            tags=self.tags,
            operator=self.operator or None,
            device=self.device or None,
        )


def _listed(given: Any) -> tuple[str, ...]:
    return tuple(each.strip() for each in str(given or "").split(",") if each.strip())
