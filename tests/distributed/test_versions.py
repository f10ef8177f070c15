import re

import pytest

from agentrt import ConfigurationError
from agentrt.distributed.versions import Versions, check_versions, read_versions


def test_the_same_everywhere_is_fine() -> None:
    check_versions({"node-1": read_versions(), "node-2": read_versions()})


@pytest.mark.parametrize("other", [read_versions()._replace(python="3.9"), read_versions()._replace(agentrt="0.0.1")])
def test_a_node_with_another_version_is_one_error_that_names_it(other: Versions) -> None:
    text = f"this process runs {read_versions()}, and node-2 {other}: what they send"
    with pytest.raises(ConfigurationError, match=re.escape(text)):
        check_versions({"node-1": read_versions(), "node-2": other})
