"""The built-in grammar: artificial English sentences with their one German translation.

From words to sentences: `lexicon` reads words and rules, `english` and `german` bend words,
`phrases` and `clauses` put them in order on both sides, `patterns` and `kinds` number all sentences
of a form, `ranking` shuffles numbers, and `draw` mixes the kinds.
"""

from nmt.corpus.grammar.draw import count_pairs, draw_pairs, known_words

__all__ = ["count_pairs", "draw_pairs", "known_words"]
