"""Token ids to logits: attention, encoder, decoder, and the translation model made of them.

Knows tensors; not strings, files or Lightning. The letters of all shapes:

    B  sentences in the batch          E  embedding size
    S  source length, padded           H  decoder hidden size
    T  target length, padded           D  encoder state size, both directions joined
    V  target vocabulary size          L  layers
    K  beam size; rows are B*K         A  attention size (width of the keys)
"""

from nmt.model.build import build_model
from nmt.model.seq2seq import Seq2Seq
from nmt.model.state import DecoderState, EncoderOutput
from nmt.model.variational import VariationalSeq2Seq

__all__ = ["DecoderState", "EncoderOutput", "Seq2Seq", "VariationalSeq2Seq", "build_model"]
