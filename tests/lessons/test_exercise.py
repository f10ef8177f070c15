from agentrt.lessons import Assessment, Exercise

even = Exercise("Give an even number.", lambda number: "it is odd" if number % 2 else None, hint="two, <four>")


def test_a_check_says_what_is_still_wrong():
    assert even.check(2) == Assessment(True, "it does what was asked for")
    assert even.check(3) == Assessment(False, "it is odd")


def test_what_an_answer_raises_is_told():
    assert even.check("three").words.startswith("it raised TypeError: ")


def test_a_cell_shows_the_task_and_folds_the_hint():
    shown = even._repr_html_()
    assert "Give an even number." in shown
    assert "<details><summary>A hint</summary><p>two, &lt;four&gt;</p></details>" in shown
    assert "<details>" not in Exercise("Think.", lambda answer: None)._repr_html_()


def test_an_assessment_has_a_word_besides_its_colour():
    assert "√ Done: " in even.check(2)._repr_html_()
    assert "… Not yet: " in even.check(3)._repr_html_()
