"""Access control of `panel serve dashboard/app.py --auth-module dashboard/auth.py`: the two links of `serve()`."""

from agentrt.views.server.panel_serve import protect

get_user = protect("three towers")
login_url = "/"
