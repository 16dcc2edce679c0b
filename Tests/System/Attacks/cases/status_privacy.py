"""A user asks for the status; it must not show what only another user opened."""

from bench import ATTACKER, VICTIM
from bundle import zeros
from wire import Connection


def open_and_ask(link, socket, checkpoints, label):
    with Connection(socket) as connection:
        connection.hello(label)
        generations = [connection.open(paths, label)[1] for paths in checkpoints]
        link.report(generations=generations)
        link.wait(20)
        status = connection.status()
        link.report(generations=status.generations, users=status.users)
        link.is_told_to_stop(20)


def attack(bench, outcome):
    daemon = bench.start()
    own, others, common = (zeros(bench.path(name), t=[4]) for name in ["own", "others", "common"])
    victim = bench.child(VICTIM, open_and_ask, daemon.socket, [others, common], "secret")
    secret, shared = (victim.read(10) or {})["generations"]
    curious = bench.child(ATTACKER, open_and_ask, daemon.socket, [own, common], "curious")
    mine = (curious.read(10) or {})["generations"][0]
    curious.tell_to_stop()
    seen = curious.read(10) or {}
    status = daemon.status()
    rows = set(seen["generations"])
    outcome.note(
        f"on the clients' socket {len(rows)} checkpoints and users {sorted(set(seen['users']))}, "
        f"on the administrators' {len(status.generations)} and {sorted(set(status.users))}")
    outcome.expect(secret not in rows, "a checkpoint that only another user opened is listed")
    outcome.expect({mine, shared} <= rows, "what the user opened is not listed")
    outcome.expect(set(seen["users"]) == {ATTACKER}, "other users' connections are listed")
    outcome.expect(
        {mine, shared, secret} <= set(status.generations), "administrators do not see all checkpoints")
    outcome.expect(
        {ATTACKER, VICTIM} <= set(status.users), "administrators do not see all users")
