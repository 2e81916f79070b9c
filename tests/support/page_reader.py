"""A page of `upliftlens report` as a test reads it: its tags, its tables and the data of its charts."""

import json
import re
from html.parser import HTMLParser
from typing import Any


class Page(HTMLParser):
    """``tags``: (name, attributes) in order; ``tables``: rows of cells' texts; ``charts``: specifications."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.charts: list[Any] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in ("meta", "link", "input", "br"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside[-1:] == ["script"]:
            if self.tags[-1][1].get("type") == "application/json":
                self.charts.append(json.loads(data))
            return
        if self._inside[-1:] != ["style"]:
            self.text += data
            if "td" in self._inside or "th" in self._inside:
                self.tables[-1][-1][-1] = re.sub(r"\s+", " ", self.tables[-1][-1][-1] + data)

    def rows(self, table: int) -> list[dict[str, str]]:
        """The rows of a table by the names in its head, without the fold-outs."""
        head, *rows = self.tables[table]
        names = [re.sub(r" ?(higher|lower) is better", "", name).strip() for name in head]
        return [dict(zip(names, map(str.strip, row), strict=True)) for row in rows if len(row) == len(names)]
