"""Alphabet, Corpus and its cache, and the download, from a server on this machine."""

import errno
import hashlib
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lab.cli import UserError
from lab.model import corpus
from lab.model.corpus import MASK_SYMBOLS, Alphabet, Corpus, windows
from lab.model.machine import Rng


def alphabet_of(text):
    return Alphabet("".join(sorted(set(text))))


@given(st.text(min_size=1))
def test_decoding_undoes_encoding(text):
    alphabet = alphabet_of(text)
    idx = alphabet.encode(text)
    assert idx.dtype == torch.long and idx.shape == (len(text),)
    assert alphabet.decode(idx) == text


def test_token_is_the_place_of_its_letter():
    assert Alphabet("xaé").encode("aéxa").tolist() == [1, 2, 0, 1]
    assert len(Alphabet("xaé")) == 3


def test_empty_text_is_no_tokens():
    assert Alphabet("ab").encode("").tolist() == []
    assert Alphabet("ab").encode("").dtype == torch.long


def test_unknown_characters_are_listed_and_the_known_ones_are_not_among_them():
    with pytest.raises(UserError) as caught:
        Alphabet("abc").encode("日a\tb日")
    listed, known = str(caught.value).split(" It knows: ")
    assert listed == "characters that the model does not know: '\\t日'."
    assert "abc" in known


def test_long_list_of_unknown_characters_is_cut():
    with pytest.raises(UserError) as caught:
        Alphabet("a").encode("".join(chr(0x4E00 + i) for i in range(25)))
    assert chr(0x4E00 + 19) in str(caught.value) and chr(0x4E00 + 20) not in str(caught.value)


def test_message_about_a_large_alphabet_stays_short():
    with pytest.raises(UserError) as caught:
        Alphabet("".join(chr(0x4E00 + i) for i in range(5000))).encode("a")
    assert len(str(caught.value)) < 300


@given(st.text(min_size=1), st.sets(st.sampled_from(MASK_SYMBOLS)))
@example("plain text", set())
@example("all of them", set(MASK_SYMBOLS))
def test_mask_symbol_is_one_character_and_never_a_letter(text, symbols):
    alphabet = alphabet_of(text + "".join(symbols))
    assert len(alphabet.mask) == 1
    assert alphabet.mask not in alphabet.characters


def test_mask_symbol_is_an_underscore_unless_the_text_has_one():
    assert Alphabet("abc").mask == "_"
    assert [Alphabet(text).mask for text in ("_abc", "_#ab", "_#~@")] == ["#", "~", "░"]  # those of a keyboard first


@given(st.text("ab é\n", min_size=1), st.randoms(use_true_random=False))
def test_text_with_gaps_comes_back_from_tokens_and_mask(text, rng):
    alphabet = alphabet_of(text)
    shown = "".join(character if rng.random() < 0.5 else alphabet.mask for character in text) + alphabet.mask
    idx, masked = alphabet.encode_masked(shown)
    assert idx.dtype == torch.long and masked.dtype == torch.bool and idx.shape == masked.shape == (len(shown),)
    assert masked.tolist() == [character == alphabet.mask for character in shown]
    assert alphabet.decode(idx, masked) == shown


def test_underscore_of_the_text_is_a_letter_and_no_gap():
    alphabet = Alphabet("_ab")
    idx, masked = alphabet.encode_masked("a_b" + alphabet.mask)
    assert masked.tolist() == [False, False, False, True]
    assert alphabet.decode(idx[:3]) == "a_b"


def test_text_without_a_gap_is_refused():
    with pytest.raises(UserError, match="nothing to fill in"):
        Alphabet("ab").encode_masked("ab")


def test_gaps_do_not_hide_unknown_characters():
    with pytest.raises(UserError, match="'z'"):
        Alphabet("ab").encode_masked("a_z")


def read(path, data):
    """Corpus of a file made of these bytes (or of this text)."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return Corpus(path)


def text_of(corpus):
    return corpus.alphabet.decode(corpus.ids)


PIECES = ("a", "é", "日", "😀", "\n", "\r\n", "\r", "\ufeff", "\x00", "_")


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.booleans(), st.integers(1, 9))
@example("\r\r\n\n\r\n日\r\n\r", True, 1)
def test_text_read_in_blocks_is_the_text_read_at_once(tmp_path_factory, text, has_mark, size):
    path = tmp_path_factory.getbasetemp() / "blocks.txt"
    raw = text.encode("utf-8-sig" if has_mark else "utf-8")
    path.write_bytes(raw)
    whole = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "BLOCK", size)
        pieces = list(corpus.blocks(path))
    assert "".join(chr(code) for codes in pieces for code in codes) == whole


@pytest.mark.parametrize("block", [1, 2, 3, 5, 7, 1 << 22])
def test_corpus_is_the_whole_text_whatever_the_block(own_root, monkeypatch, block):
    monkeypatch.setattr(corpus, "BLOCK", block)
    text = "ﬁrst\r\nzweite Zeile: äöü\r\n\r\n三。\n😀"
    found = read(own_root / "text.txt", text)
    assert text_of(found) == text.replace("\r\n", "\n")
    assert found.alphabet.characters == "".join(sorted(set(text.replace("\r\n", "\n"))))
    assert found.sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_byte_order_mark_is_no_letter(own_root):
    found = read(own_root / "text.txt", b"\xef\xbb\xbfabc")
    assert text_of(found) == "abc"
    assert found.alphabet.characters == "abc"


def test_letters_are_in_order_and_tokens_count_them(text_file):
    found, text = Corpus(text_file), text_file.read_text(encoding="utf-8")
    assert found.alphabet.characters == "".join(sorted(set(text)))
    assert found.alphabet.encode(text).tolist() == found.ids.tolist()


@pytest.mark.parametrize(("count", "kind"), [(256, np.uint8), (257, np.uint16), (6000, np.uint16), (70_000, np.uint32)])
def test_tokens_of_a_large_alphabet_fit_and_take_no_more_bytes_than_needed(own_root, count, kind):
    text = "".join(chr(0x10000 + i) for i in range(count))
    found = read(own_root / "text.txt", text + text[::-1])
    assert len(found.alphabet) == count
    assert found.ids.dtype == kind
    assert found.ids.tolist() == [*range(count), *reversed(range(count))]


def test_chinese_text_has_its_hundreds_of_characters(chinese_file):
    found = Corpus(chinese_file)
    assert len(found.alphabet) == len(set(chinese_file.read_text(encoding="utf-8"))) == 502
    assert text_of(found) == chinese_file.read_text(encoding="utf-8")


def test_tokens_and_all_parts_stay_on_disk(text_file):
    found = Corpus(text_file)
    for part in (found.ids, found.train, found.held_out, found.validation, found.test):
        assert isinstance(part, np.memmap) and part.filename is not None
        assert np.shares_memory(part, found.ids)


def test_parts_are_90_5_and_5_percent_in_order(own_root):
    found = read(own_root / "text.txt", "".join(chr(0x4E00 + i) for i in range(1000)))
    assert found.train.tolist() == list(range(900))
    assert found.validation.tolist() == list(range(900, 950))
    assert found.test.tolist() == list(range(950, 1000))
    assert found.held_out.tolist() == list(range(900, 1000))


@pytest.mark.parametrize("count", [1, 2, 9, 19, 21, 1001, 1009])
def test_parts_are_the_whole_text_whatever_its_length(own_root, count):
    found = read(own_root / "text.txt", "".join(chr(0x4E00 + i) for i in range(count)))
    parts = np.concatenate([found.train, found.validation, found.test])
    assert parts.tolist() == list(range(count))
    assert abs(len(found.validation) - len(found.test)) <= 1


def test_opening_is_the_first_characters(text_file):
    assert Corpus(text_file).opening(20) == text_file.read_text(encoding="utf-8")[:20]


def test_batch_is_of_windows_of_the_training_part_and_follows_the_seed(own_root):
    found = read(own_root / "text.txt", "".join(chr(0x4E00 + i) for i in range(100)))
    batch = found.batch(2000, 5, Rng(0))
    assert batch.dtype == torch.long and batch.shape == (2000, 5)
    assert (batch.diff(dim=1) == 1).all()
    assert set(batch[:, 0].tolist()) == set(range(90 - 5 + 1))  # first and last possible start included
    assert batch.equal(found.batch(2000, 5, Rng(0))) and not batch.equal(found.batch(2000, 5, Rng(1)))


def test_corpus_that_is_too_short_says_how_long_it_must_be(own_root):
    found = read(own_root / "text.txt", "ab" * 320)
    with pytest.raises(UserError, match=r"text\.txt.*660"):
        found.require(33)


@pytest.mark.parametrize("length", [1, 2, 33, 257])
def test_twenty_windows_of_text_are_enough(own_root, length):
    found = read(own_root / "text.txt", "ab" * 10 * length)
    found.require(length)
    assert found.batch(2, length, Rng(0)).shape == (2, length)
    assert windows(found.validation, length, every=1).shape == windows(found.test, length, every=1).shape == (1, length)


def test_windows_make_every_character_but_the_first_the_next_one_exactly_once():
    found = windows(np.arange(101, dtype=np.uint16), 11)
    assert found.dtype == torch.long and found.shape == (10, 11)
    assert found[:, 1:].flatten().tolist() == list(range(1, 101))
    assert found[:, 0].tolist() == list(range(0, 100, 10))


def test_windows_never_reach_past_the_end():
    assert windows(np.arange(109, dtype=np.uint8), 11).max() == 100


def test_windows_start_as_often_as_told():
    assert windows(np.arange(31, dtype=np.uint8), 11, every=5)[:, 0].tolist() == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(
    ("most", "starts"), [(3, [0, 40, 90]), (1, [0]), (10, range(0, 100, 10)), (50, range(0, 100, 10))]
)
def test_windows_are_spread_over_the_part_when_there_are_too_many(most, starts):
    assert windows(np.arange(101, dtype=np.uint8), 11, most=most)[:, 0].tolist() == list(starts)


def cached(root):
    """Names of the files in the cache."""
    return sorted(path.name for path in (root / ".cache").rglob("*") if path.is_file())


def test_second_reading_takes_the_cache(text_file, monkeypatch):
    first = Corpus(text_file)
    monkeypatch.setattr(corpus, "blocks", lambda path: pytest.fail("the text was encoded again"))
    second = Corpus(text_file)
    assert second.ids.tolist() == first.ids.tolist()
    assert second.alphabet == first.alphabet and second.sha256 == first.sha256


def test_cache_lies_under_the_root_and_is_whole(text_file, own_root):
    Corpus(text_file)
    assert cached(own_root) == ["characters.txt", "ids.bin"]


def test_two_texts_have_two_caches(text_file, chinese_file):
    english, chinese = Corpus(text_file), Corpus(chinese_file)
    assert text_of(Corpus(text_file)) == text_of(english) != text_of(chinese)


def test_changed_text_is_read_again(own_root):
    path = own_root / "text.txt"
    assert text_of(read(path, "aaaa")) == "aaaa"
    assert text_of(read(path, "bbbbb")) == "bbbbb"


@pytest.mark.parametrize("place", [0, 1_100_000, -1])
def test_text_of_the_same_size_and_time_with_another_character_is_read_again(own_root, place):
    path, text = own_root / "text.txt", bytearray(b"a" * 2_200_000)
    read(path, text)
    stat = path.stat()
    text[place] = ord("b")
    path.write_bytes(text)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Corpus(path).sha256 == hashlib.sha256(text).hexdigest()


def test_a_cache_that_was_not_finished_is_made_again(text_file, own_root):
    Corpus(text_file)
    (characters,) = (own_root / ".cache").glob("*/characters.txt")
    characters.unlink()
    assert text_of(Corpus(text_file)) == text_file.read_text(encoding="utf-8")


def test_copy_of_a_text_elsewhere_is_the_same_corpus(text_file, own_root):
    (own_root / "copy.txt").write_bytes(text_file.read_bytes())
    copy = Corpus(own_root / "copy.txt")
    assert copy.sha256 == Corpus(text_file).sha256 and copy.alphabet == Corpus(text_file).alphabet


def refusal(path):
    """The one-line message of the UserError that reading this path raises."""
    with pytest.raises(UserError) as caught:
        Corpus(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_empty_text_is_refused(own_root, data):
    (own_root / "text.txt").write_bytes(data)
    message = refusal(own_root / "text.txt")
    assert "empty" in message and "--data" in message
    assert cached(own_root) == []


def test_missing_text_is_refused(own_root):
    message = refusal(own_root / "nowhere.txt")
    assert "No such file" in message and "--data" in message
    assert cached(own_root) == []


def test_folder_in_place_of_a_text_is_refused(own_root):
    message = refusal(own_root)
    assert "directory" in message.lower() and "--data" in message


@pytest.mark.parametrize("data", [b"caf\xe9 noir", "abc".encode("utf-16"), "日".encode()[:2], b"a" * 100 + b"\xff"])
def test_text_that_is_not_utf8_is_refused(own_root, data):
    (own_root / "text.txt").write_bytes(data)
    assert "UTF-8" in refusal(own_root / "text.txt")
    assert cached(own_root) == []


@pytest.mark.parametrize("data", [b"", b"caf\xe9 noir"])
def test_refused_text_leaves_no_folder_in_the_cache(own_root, data):
    (own_root / "text.txt").write_bytes(data)
    refusal(own_root / "text.txt")
    assert list((own_root / ".cache").glob("*")) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_encoding_leaves_no_part_and_the_next_one_succeeds(text_file, own_root, monkeypatch, error):
    """The second pass over the text, which writes the tokens, breaks off in the middle."""
    whole, passes = corpus.blocks, []

    def breaking_off(path):
        passes.append(path)
        for pair in whole(path):
            yield pair
            if len(passes) == 2:
                raise error

    with monkeypatch.context() as patch:
        patch.setattr(corpus, "blocks", breaking_off)
        with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
            Corpus(text_file)
    assert len(passes) == 2
    left = cached(own_root)
    assert text_of(Corpus(text_file)) == text_file.read_text(encoding="utf-8")
    assert left == []


def test_cache_that_cannot_be_made_is_named(text_file, own_root):
    (own_root / ".cache").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"\.cache"):
        Corpus(text_file)


DOWNLOAD = b"To be, or not to be\n" * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/missing.txt":
            self.send_response(200)
            if self.path == "/broken.txt":
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(len(DOWNLOAD)))
            self.end_headers()
        match self.path:
            case "/data.txt":
                self.wfile.write(DOWNLOAD)
            case "/short.txt":  # the connection closes in the middle
                self.wfile.write(DOWNLOAD[:5000])
            case "/broken.txt":  # so does this one, within a chunk
                self.wfile.write(b"1000\r\n" + DOWNLOAD[:100])
            case _:
                self.send_error(404)

    def log_message(self, *_):
        pass


class Babbler(socketserver.BaseRequestHandler):
    """Answers, but not in HTTP."""

    def handle(self):
        self.request.recv(1000)
        self.request.sendall(b"login:")


@pytest.fixture
def serve(own_root, monkeypatch):
    """serve(handler) -> address of a server on this machine that runs until the end of the test."""
    servers = []

    def start(handler=Handler):
        make = ThreadingHTTPServer if handler is Handler else socketserver.ThreadingTCPServer
        servers.append(make(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr(corpus, "SHA256", hashlib.sha256(DOWNLOAD).hexdigest())
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_missing_default_text_is_downloaded_once(own_root, serve, monkeypatch):
    monkeypatch.setattr(corpus, "URL", serve() + "/data.txt")
    assert text_of(Corpus()) == DOWNLOAD.decode()
    assert (own_root / "data.txt").read_bytes() == DOWNLOAD
    assert [path.name for path in own_root.iterdir() if path.is_file()] == ["data.txt"]
    monkeypatch.setattr(corpus, "fetch", lambda: pytest.fail("downloaded again"))
    assert text_of(Corpus()) == DOWNLOAD.decode()


def test_download_says_what_it_does_but_not_on_stdout_where_the_text_goes(serve, monkeypatch, capfd):
    monkeypatch.setattr(corpus, "URL", serve() + "/data.txt")
    corpus.fetch()
    out, err = capfd.readouterr()
    assert corpus.URL in out + err and "data.txt" in out + err
    assert out == ""


def failed_download(own_root):
    """Check that a download fails as it should: everything named, nothing left; returns the message."""
    with pytest.raises(UserError) as caught:
        Corpus()
    message = str(caught.value)
    assert corpus.URL in message and str(own_root / "data.txt") in message and "--data" in message
    assert "\n" not in message
    assert list(own_root.iterdir()) == []
    return message


def test_download_with_another_checksum_is_refused(own_root, serve, monkeypatch):
    monkeypatch.setattr(corpus, "URL", serve() + "/data.txt")
    monkeypatch.setattr(corpus, "SHA256", "0" * 64)
    assert "0" * 64 in failed_download(own_root)


def test_download_that_is_not_there_is_reported(own_root, serve, monkeypatch):
    monkeypatch.setattr(corpus, "URL", serve() + "/missing.txt")
    assert "404" in failed_download(own_root)


@pytest.mark.parametrize("name", ["short.txt", "broken.txt"])
def test_download_that_breaks_off_leaves_nothing(own_root, serve, monkeypatch, name):
    monkeypatch.setattr(corpus, "URL", f"{serve()}/{name}")
    failed_download(own_root)


def test_server_that_speaks_no_http_is_reported(own_root, serve, monkeypatch):
    monkeypatch.setattr(corpus, "URL", serve(Babbler) + "/data.txt")
    failed_download(own_root)


def test_refused_connection_is_reported(own_root):
    assert "refused" in failed_download(own_root)


def test_typed_text_needs_no_download(text_file, monkeypatch):
    monkeypatch.setattr(corpus, "fetch", lambda: pytest.fail("downloaded"))
    assert len(Corpus(text_file).ids) > 5000
