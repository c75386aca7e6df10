"""Every bound of the service, each with its reason. The engine's own bounds stand in the engine.

gRPC has no quota for its memory, so the product of connections, streams and message size is the bound on it.
"""

MESSAGE_BYTES = 4 << 20
"""Longest request that is read: a batch of 10,000 settlements is 3 MB, and more would hold up others' decisions."""

TRANSPORT_MESSAGE_BYTES = 2 * MESSAGE_BYTES
"""Longest request that the transport takes in, so that one a little too long gets a reason and not a bare status."""

CONNECTIONS = 2_000
"""Connections at once: every institution of a province with a few front ends each; about 100 KB of TLS state apiece."""

STREAMS_PER_CONNECTION = 512
"""Calls in flight on one connection: beyond it a caller waits in its own process and not in ours. Several times what
a front end has in flight: gRPC counts a call that it has answered for a moment longer than the caller does, and resets
the next one of a caller who stands at the limit."""

BATCH_STREAMS = 512
"""Batch streams at once: with all that each may have in flight they fill half of the engine's queue, and the other half
is for single calls. One more is OVERLOADED."""

BATCH_STREAMS_PER_INSTITUTION = 256
"""Batch streams of one institution: a front end that forgets to close its streams leaves others theirs."""

BATCH_STREAM_MESSAGES = 8
"""Messages of a stream in flight, read and not yet answered: while some are decided and synced, others come and go."""

BATCH_STREAM_BYTES = 4 << 20
"""What a stream may hold, messages and answers, before it is read no further: one of the longest messages. Answers come
longer than they were asked for, each as long as the engine lets one batch's be, so it can be exceeded until they are
taken, by what is in flight at the time."""

BATCH_STREAM_IDLE_S = 300.0
"""Silence, or an unfinished message, after which a stream ends: a front end without patients begins another at once,
and one that sends a byte a second does not keep its place."""

HANDSHAKE_TIMEOUT_MS = 10_000
"""Time for a TLS handshake: a slow mobile line needs two seconds; what is slower only occupies a connection."""

KEEPALIVE_MS = 60_000
"""Silence after which a connection is probed: a dead line leaves no connection for longer than this."""

KEEPALIVE_TIMEOUT_MS = 20_000
"""Time for the answer to the probe."""

KEEPALIVE_LEAST_MS = 10_000
"""Least time between a client's probes: address translation forgets sooner than gRPC's 5 minutes."""

DEADLINE_S = 30.0
"""Deadline of a call whose caller set none; no clerk waits longer, and no call may stay for ever."""

DRAIN_S = 20.0
"""Time that calls get to end when the service stops: less than the 30 seconds after which supervisors kill."""

HEALTH_INTERVAL_S = 0.5
"""Time between two looks at the engine's state for the health service."""

REFUSAL_DETAIL_BYTES = 3_072
"""What a refusal's metadata may take: clients drop trailers over 8 KiB, base64 adds a third, advice needs some."""

KNOWN_CERTIFICATES = 4_096
"""Certificates whose reading is remembered: twice the connections, so that none is read twice."""
