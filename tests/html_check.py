"""A small reader of HTML for tests: what is not well-formed, and what reaches outside the page."""

from collections.abc import Sequence
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
# What may hold no blocks, and what those are.
PHRASING = {"p", "h1", "h2", "h3", "h4", "span", "b", "i", "a", "mark", "summary", "code"}
BLOCKS = {
    "p",
    "div",
    "table",
    "ul",
    "ol",
    "dl",
    "section",
    "article",
    "header",
    "details",
    "figure",
}
PARENTS = {
    "li": {"ul", "ol"},
    "tr": {"thead", "tbody"},
    "td": {"tr"},
    "th": {"tr"},
    "thead": {"table"},
    "tbody": {"table"},
    "caption": {"table"},
    "dt": {"dl", "div"},
    "dd": {"dl", "div"},
    "summary": {"details"},
    "figcaption": {"figure"},
}


class Reader(HTMLParser):
    """Reads a page; `faults` is what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self._ids: list[str] = []
        self._wanted_ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if len(found) != len(attrs):
            self.faults.append(f"<{tag}> has an attribute twice")
        parent = self._open[-1] if self._open else ""
        if tag in PARENTS and parent not in PARENTS[tag]:
            self.faults.append(f"<{tag}> stands in <{parent}>")
        if tag in BLOCKS and PHRASING & set(self._open):
            self.faults.append(f"<{tag}> stands in {self._open}")
        self._check_links(tag, found)
        if tag not in VOID:
            self._open.append(tag)

    def _check_links(self, tag: str, found: dict[str, str | None]) -> None:
        if found.get("id"):
            self._ids.append(str(found["id"]))
        for name in ("aria-labelledby", "aria-describedby"):
            self._wanted_ids += str(found[name]).split() if name in found else []
        for name in ("href", "src", "srcset", "data", "action", "xlink:href"):
            link = found.get(name) or ""
            if link.startswith("#"):
                self._wanted_ids.append(link[1:])
            elif "//" in link or (tag != "a" and link and link != "data:,"):
                self.faults.append(f"<{tag}> reaches for {link}")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes what is not open")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def finish(self) -> None:
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self._open]
        self.faults += [f"id {one} twice" for one in set(self._ids) if self._ids.count(one) > 1]
        self.faults += [f"no id {one}" for one in self._wanted_ids if one not in self._ids]
        if any(tag == "script" for tag, _ in self.tags):
            self.faults.append("there is a script")


def read_page(page: str) -> Reader:
    """Read a page to its end."""
    reader = Reader()
    reader.feed(page)
    reader.finish()
    return reader
