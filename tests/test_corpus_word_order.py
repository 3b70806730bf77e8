"""German word order: each verb, in every kind of clause, stands where a grammar book puts it."""

from collections.abc import Iterator

import pytest
from grammar_forms import read_forms

from nmt.corpus import SentencePair
from nmt.corpus.grammar import draw_pairs

VERBS = read_forms()["verbs"]
CONJUNCTIONS = ("dass ", "weil ", "obwohl ", "wenn ", "während ")
MODALS = {
    "kann",
    "können",
    "muss",
    "müssen",
    "will",
    "wollen",
    "darf",
    "dürfen",
    "sollte",
    "sollten",
}
AUXILIARIES = {"hat": {"hat", "haben", "habe"}, "ist": {"ist", "sind", "bin"}}
COPULAS = {"bin", "ist", "sind", "war", "waren"}
# The grammar has no such sentences: nobody must know, and a clause within a clause has one object.
NEVER_MODAL = {
    "brauchen",
    "denken",
    "gehören",
    "haben",
    "hoffen",
    "kennen",
    "lieben",
    "sagen",
    "wissen",
}
NEVER_SUBORDINATE = {
    "anbieten",
    "bringen",
    "denken",
    "geben",
    "hoffen",
    "sagen",
    "schicken",
    "wissen",
    "zeigen",
}

# A verb and a kind of clause.
Use = tuple[str, str]


def uses_by_end() -> dict[str, set[Use]]:
    """The last words of clauses, from the hand-written lines, and what they are the end of."""
    found: dict[str, set[Use]] = {}
    for verb, line in VERBS.items():
        _, they, i, perfect, modal, behind_weil = line.split(", ")
        auxiliary, participle = perfect.split(" . ")
        infinitive = modal.removeprefix("muss . ")
        plural, _, prefix = they.partition(" . ")
        ends = {
            "perfect": {participle},
            "modal": {infinitive},
            "subordinate": {behind_weil, prefix + plural, prefix + i.partition(" . ")[0]},
            "subordinate perfect": {f"{participle} {one}" for one in AUXILIARIES[auxiliary]},
            "subordinate modal": {f"{infinitive} {one}" for one in MODALS},
            "separated": {prefix} - {""},
        }
        for kind, endings in ends.items():
            for end in endings:
                found.setdefault(end, set()).add((verb, kind))
    return found


USES = uses_by_end()


def clauses(target: str) -> Iterator[str]:
    """The clauses of a German sentence, their first letter small."""
    for part in target.rstrip(".?").split(", "):
        for clause in part.split(" und "):
            yield clause[0].lower() + clause[1:]


def uses_in_subordinate(clause: str) -> set[Use]:
    *_, before, last = clause.split(" ")
    uses = USES.get(last, set()) | USES.get(f"{before} {last}", set())
    return {(verb, kind) for verb, kind in uses if kind.startswith("subordinate")}


def uses_in_main(clause: str) -> set[Use]:
    """Uses whose first part stands in the clause, and whose second part ends it."""
    *before, last = clause.split(" ")
    return {
        (verb, kind)
        for verb, kind in USES.get(last, set())
        if not kind.startswith("subordinate") and first_parts(verb, kind) & set(before)
    }


def first_parts(verb: str, kind: str) -> set[str]:
    he, they, i, perfect, _, _ = VERBS[verb].split(", ")
    if kind == "modal":
        return MODALS
    if kind == "perfect":
        return AUXILIARIES[perfect.split(" . ")[0]]
    return {form.split(" . ")[0] for form in (he, they, i)}


@pytest.fixture(scope="module")
def drawn() -> list[SentencePair]:
    return list(draw_pairs(split="train", count=150_000, seed=5))


def test_every_subordinate_clause_ends_with_its_verb(drawn: list[SentencePair]) -> None:
    for pair in drawn:
        for clause in clauses(pair.target):
            if clause.startswith(CONJUNCTIONS):
                assert uses_in_subordinate(clause) or clause.split(" ")[-1] in COPULAS, pair


def test_every_verb_is_in_its_place_in_every_kind_of_clause(drawn: list[SentencePair]) -> None:
    seen: set[Use] = set()
    for pair in drawn:
        for clause in clauses(pair.target):
            is_subordinate = clause.startswith(CONJUNCTIONS)
            seen |= uses_in_subordinate(clause) if is_subordinate else uses_in_main(clause)
    missing = set().union(*USES.values()) - seen
    assert missing == {
        (verb, kind)
        for verb, kind in set().union(*USES.values())
        if (verb in NEVER_MODAL and kind.endswith("modal"))
        or (verb in NEVER_SUBORDINATE and kind.startswith("subordinate"))
    }
