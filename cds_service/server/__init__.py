"""The HTTP server: gunicorn's processes with a worker of our own, which spends a thread on a request only once the
whole request is there.

gunicorn's threaded worker reads in its threads, so that a few dozen slow or refused uploads left open hold all of
them. Here one loop reads every connection without waiting, within bounds of size and time; threads only answer.
Error policy: an option that can't be used raises ConfigurationError before anything listens; what a client does
wrong is answered with an OperationOutcome, or ends its connection; nothing that it sent is logged or repeated.
"""

from cds_service.server.application import Limits, Server, tls_context
from cds_service.server.listening import check_free

__all__ = ["Limits", "Server", "check_free", "tls_context"]
