from agentrt.views.notebook.texts import OLD, PIECE, Texts, text_name, without_texts


def test_a_text_is_read_in_pieces_until_the_page_has_it():
    texts = Texts()
    text = "é" * (2 * PIECE) + "end"
    assert texts.offer({"a": text}) == ["a"]
    answers = [texts.piece("a", number) for number in range(3)]
    assert "".join(answer["part"] for answer in answers) == text
    assert [answer["last"] for answer in answers] == [False, False, True]
    texts.receive(["a"], texts.number)
    assert texts.piece("a", 0) == {"text": "a", "piece": 0}
    assert texts.offer({"a": text}) == []


def test_the_last_of_pieces_that_are_all_full_says_so():
    texts = Texts()
    texts.offer({"a": "x" * PIECE, "b": ""})
    assert texts.piece("a", 0)["last"]
    assert texts.piece("b", 0) == {"text": "b", "piece": 0, "part": "", "last": True}


def test_what_was_offered_again_can_be_read_though_the_page_had_it_from_the_offer_before():
    texts = Texts()
    texts.offer({"a": "x", "b": "y"})
    first = texts.number
    texts.offer({"a": "x"})
    texts.receive(["a", "b"], first)
    assert texts.piece("a", 0)["part"] == "x"
    assert "part" not in texts.piece("b", 0)


def test_only_so_many_old_texts_are_kept_and_all_new_ones():
    texts = Texts()
    texts.offer({f"old {n}": "x" for n in range(OLD + 2)})
    new = {f"new {n}": "x" for n in range(2 * OLD)}
    assert texts.offer(new) == list(new)
    assert len(texts.offered) == 3 * OLD
    assert "old 1" not in texts.offered
    assert "old 2" in texts.offered


def test_long_modules_and_styles_are_replaced_by_their_names():
    found = {}
    long, style = "m" * 2_000, "s" * 2_000
    value = [{"esm": long, "css": "short"}, {"in": ({"css": style, "text": long},)}]
    names = {text_name(long): long, text_name(style): style}
    assert without_texts(value, found) == [
        {"esm": {"text": text_name(long)}, "css": "short"},
        {"in": [{"css": {"text": text_name(style)}, "text": long}]},
    ]
    assert found == names
