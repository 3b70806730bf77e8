"""Vectors from a file, put into the right rows."""

from pathlib import Path

import pytest
import torch
from toy import QUICK, toy_recipe, write_lines, write_quick_corpus

from nmt.errors import DataError
from nmt.recipe import TokenizerRecipe
from nmt.run_folder import RunFolder, read_weights
from nmt.tokenizer import Tokenizer
from nmt.training import train
from nmt.training.embeddings import load_embeddings


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    recipe = TokenizerRecipe(vocab_size=9, model_type="bpe", byte_fallback=False)
    return Tokenizer.train(["ab ba abba", "baab ab"] * 20, recipe)


def piece_of(tokenizer: Tokenizer, row: int) -> str:
    return tokenizer.pieces([row])[0]


def test_rows_in_the_file_are_set_and_the_others_left(tokenizer: Tokenizer, tmp_path: Path) -> None:
    last = tokenizer.vocab_size - 1
    lines = [
        f"{piece_of(tokenizer, last)} 1.5 -2e-1",
        "unheard 0 0",
        f"{piece_of(tokenizer, 5)} 3 4 ",
    ]
    write_lines(tmp_path / "vectors", lines)
    table = torch.full((tokenizer.vocab_size, 2), 7.0)
    assert load_embeddings(table, tmp_path / "vectors", tokenizer) == 2
    assert table[last].tolist() == pytest.approx([1.5, -0.2])
    assert table[5].tolist() == [3, 4]
    others = [row for row in range(tokenizer.vocab_size) if row not in (5, last)]
    assert table[others].eq(7).all()


def test_the_head_of_word2vec_is_left_aside(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_lines(tmp_path / "vectors", ["1 2", f"{piece_of(tokenizer, 5)} 3 4"])
    table = torch.zeros(tokenizer.vocab_size, 2)
    assert load_embeddings(table, tmp_path / "vectors", tokenizer) == 1
    assert table[5].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["unheard 1 2"], "no piece is one of the tokenizer's, such as '"),
        (
            ["a 1 2", "b 1"],
            r"line 2 must have a piece and 2 numbers \(.*\), got 1",
        ),
        (["1 2", "b 1 2 3"], r"line 2 must have a piece and 2 numbers .* got 3"),
        ([], "no piece is one of the tokenizer's"),
    ],
)
def test_a_wrong_file_is_refused(
    lines: list[str], complaint: str, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    write_lines(tmp_path / "vectors", lines)
    with pytest.raises(DataError, match=complaint):
        load_embeddings(torch.zeros(tokenizer.vocab_size, 2), tmp_path / "vectors", tokenizer)


def test_what_is_no_number_is_named_with_its_line(tokenizer: Tokenizer, tmp_path: Path) -> None:
    write_lines(tmp_path / "vectors", ["a 1 2 3", f"{piece_of(tokenizer, 5)} 1 x 2"])
    with pytest.raises(DataError, match="line 2: could not convert string to float: 'x'"):
        load_embeddings(torch.zeros(tokenizer.vocab_size, 3), tmp_path / "vectors", tokenizer)


@pytest.mark.parametrize("side", ["source", "target"])
def test_training_starts_from_them(side: str, tmp_path: Path) -> None:
    """With next to no learning the vectors are still there at the end."""
    write_quick_corpus(tmp_path)
    slow = ("training.learning_rate=1e-9", "model.tied_embeddings=null")
    plain = train(toy_recipe(tmp_path, *QUICK, *slow), tmp_path / "plain")
    row = plain.tokenizers[0].vocab_size - 1
    piece = piece_of(plain.tokenizers[0], row)
    write_lines(tmp_path / "vectors", [f"{piece} 1 2 3 4 5 6 7 8"])
    wanted = f"training.{side}_embeddings={tmp_path.as_posix()}/vectors"
    run = train(toy_recipe(tmp_path, *QUICK, *slow, wanted), tmp_path / "run")
    for one, part in (("source", "encoder"), ("target", "decoder")):
        name = f"{part}.embedding.table.weight"
        expected = read_weights(plain.weights_file)[name]
        if one == side:
            expected[row] = torch.arange(1.0, 9.0)
        torch.testing.assert_close(
            read_weights(run.weights_file)[name], expected, atol=1e-4, rtol=0
        )


def test_a_wrong_file_of_embeddings_begins_no_run(tmp_path: Path) -> None:
    write_quick_corpus(tmp_path)
    recipe = toy_recipe(tmp_path, *QUICK, "training.source_embeddings=missing.vec")
    with pytest.raises(DataError, match=r"missing\.vec: cannot be read"):
        train(recipe, tmp_path / "run")
    assert not RunFolder(tmp_path / "run").path.exists()
