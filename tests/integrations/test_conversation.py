"""conversation.py: whose turn it is, and that a conversation can't be changed."""

import pytest

from agentrt.integrations.conversation import Conversation, ToolAnswers, ToolRequest, read_turn
from agentrt.integrations.plain_data import freeze
from agentrt.schema.immutability import is_frozen

WAITS = Conversation(waiting=(ToolRequest("1", "pay"),))


def test_a_conversation_and_a_request_can_not_be_changed():
    request = ToolRequest("1", "pay", {"amount": [5]})
    conversation = Conversation((freeze({"role": "user"}),), {"a": [1]}, (request,))
    assert is_frozen(conversation)
    assert (conversation.output, request.arguments) == ({"a": (1,)}, {"amount": (5,)})


def test_whose_turn_it_is():
    assert read_turn("hello", Conversation()) == "hello"
    yes = ToolAnswers({"1": True})
    assert read_turn(yes, WAITS) is yes
    with pytest.raises(ValueError, match="'pay' waits"):
        read_turn("hello", WAITS)
    with pytest.raises(ValueError, match="no tool waits"):
        read_turn(ToolAnswers(), Conversation())


def test_answers_can_be_typed_as_json_where_they_are_waited_for():
    assert read_turn({"results": {"1": 5}}, WAITS) == ToolAnswers(results={"1": 5})
    for other in ({}, {"1": True}, {"approvals": {"1": 5}}):
        with pytest.raises(ValueError, match="'pay' waits"):
            read_turn(other, WAITS)
    assert read_turn({"approvals": {}}, Conversation()) == {"approvals": {}}
