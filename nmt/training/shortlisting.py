"""The shortlist of a run, learned from the pairs that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence

from nmt.corpus import SentencePair
from nmt.run_folder import RunFolder, write_atomically
from nmt.shortlist import dump_shortlist, learn_shortlist

# More pairs bring few more translations of a token that a sentence needs.
_MOST_PAIRS = 100_000


def write_shortlist(folder: RunFolder, pairs: Sequence[SentencePair]) -> int:
    """Learn which target tokens a source may need, and write it down.

    Args:
        folder: Of a run that has its tokenizers.
        pairs: What is trained on; of many, every so many are looked at.

    Returns:
        How many were looked at.
    """
    some = pairs[:: -(-len(pairs) // _MOST_PAIRS)]
    source, target = folder.tokenizers
    shortlist = learn_shortlist(
        source.encode_batch([pair.source for pair in some]),
        target.encode_batch([pair.target for pair in some]),
        vocab_sizes=(source.vocab_size, target.vocab_size),
        eos_id=target.eos_id,
        pad_id=source.pad_id,
        special_ids=[target.bos_id],
        is_joint=source.model == target.model,
    )
    write_atomically(folder.shortlist_file, dump_shortlist(shortlist))
    return len(some)
