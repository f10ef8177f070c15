"""conversation.py: whose turn it is, and that a conversation can't be changed."""

import pytest

from agentrt.integrations.conversation import Conversation, ToolAnswers, ToolRequest, check_turn
from agentrt.integrations.plain_data import freeze
from agentrt.schema.immutability import is_frozen

WAITS = Conversation(waiting=(ToolRequest("1", "pay"),))


def test_a_conversation_and_a_request_can_not_be_changed():
    request = ToolRequest("1", "pay", {"amount": [5]})
    conversation = Conversation((freeze({"role": "user"}),), {"a": [1]}, (request,))
    assert is_frozen(conversation)
    assert (conversation.output, request.arguments) == ({"a": (1,)}, {"amount": (5,)})


def test_whose_turn_it_is():
    check_turn("hello", Conversation())
    check_turn(ToolAnswers({"1": True}), WAITS)
    with pytest.raises(ValueError, match="'pay' waits"):
        check_turn("hello", WAITS)
    with pytest.raises(ValueError, match="no tool waits"):
        check_turn(ToolAnswers(), Conversation())
