"""The HTTP server: gunicorn's arbiter and request parser, with a worker of our own, which spends a thread on a
request only once the whole request is there.

Why not gunicorn's own worker: its threads read and write, so that whoever sends slowly holds a thread. Measured
with gunicorn 23.0.0 and 48 threads: 48 clients that had sent half of a head, or half of a body, left every other
call without an answer until they went. A proxy in front would help, and nothing here may rest on there being one.
Here one loop reads every connection without waiting, within bounds of size, number and time; 300 slow connections
beside two threads delay no call, what can't be begun is told so before its body is sent (503), and what was
accepted when the service is stopped is answered. tests/integration/test_serving_limits.py and test_serving_stop.py
hold it to that.

`arriving` cuts bytes into requests, `connection` is a socket, `lanes` are the threads, `traffic` joins them,
`worker` and `application` are its life and its end; `answering` calls the application, `refusals` are the answers
made without it, `listening` is the socket that all share. Error policy: an option that can't be used raises
ConfigurationError before anything listens; what a client does wrong is answered with an OperationOutcome, or ends
its connection; nothing that it sent is logged or repeated.
"""

from cds_service.server.application import Limits, Server, tls_context
from cds_service.server.listening import check_free

__all__ = ["Limits", "Server", "check_free", "tls_context"]
