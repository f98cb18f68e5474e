"""Write the files of a small Bayesian network as ACE does, by its documented format; see README.md above this folder.

The network is weather -> sprinkler, (weather, sprinkler) -> grass, with a zero among its
parameters; the circuit is its network polynomial, eliminated from the last variable to the first.
"""

from pathlib import Path

HERE = Path(__file__).parent
VARIABLES = {"weather": ["sun", "cloud", "rain"], "sprinkler": ["off", "on"], "grass": ["dry", "damp", "wet"]}
P_WEATHER = [0.5, 0.3, 0.2]
P_SPRINKLER = {0: [0.6, 0.4], 1: [0.9, 0.1], 2: [1.0, 0.0]}
P_GRASS = {
    (0, 0): [0.95, 0.04, 0.01], (0, 1): [0.1, 0.3, 0.6], (1, 0): [0.8, 0.15, 0.05], (1, 1): [0.05, 0.35, 0.6],
    (2, 0): [0.02, 0.08, 0.9], (2, 1): [0.01, 0.04, 0.95],
}  # fmt: skip


def write(name: str, old: bool) -> None:
    literals: list[tuple[str, float, str, int]] = []
    of_state = {}
    for variable, states in VARIABLES.items():
        for state in range(len(states)):
            literals.append(("I", 1.0, variable, state))
            of_state[variable, state] = len(literals)
    tables = {
        "weather": P_WEATHER, "sprinkler": [p for row in P_SPRINKLER.values() for p in row],
        "grass": [p for row in P_GRASS.values() for p in row],
    }  # fmt: skip
    parameters: dict[tuple[str, int], int] = {}
    for table, numbers in tables.items():
        for place, number in enumerate(numbers):
            literals.append(("P", number, table, place))
            parameters[table, place] = len(literals)
    lines: list[str] = []
    edges = 0

    def node(text: str, children: list[int] | None = None) -> int:
        nonlocal edges
        if children is not None:
            edges += len(children)
            text = " ".join([text, str(len(children)), *map(str, children)])
        lines.append(text)
        return len(lines) - 1

    literal_nodes = {literal: node(f"{'L' if old else 'l'} {literal}") for literal in range(1, len(literals) + 1)}

    def times(children: list[int]) -> int:
        return node("A" if old else "*", children)

    def plus(variable: str, children: list[int]) -> int:
        return node(f"O {of_state[variable, 0]}" if old else "+", children)

    def term(variable: str, state: int, table: str, place: int, *rest: int) -> int:
        return times([literal_nodes[of_state[variable, state]], literal_nodes[parameters[table, place]], *rest])

    tops = []
    for weather in range(3):
        rows = []
        for sprinkler in range(2):
            first = (weather * 2 + sprinkler) * 3
            below = plus("grass", [term("grass", grass, "grass", first + grass) for grass in range(3)])
            rows.append(term("sprinkler", sprinkler, "sprinkler", weather * 2 + sprinkler, below))
        tops.append(term("weather", weather, "weather", weather, plus("sprinkler", rows)))
    plus("weather", tops)
    header = ["c ACE's circuit of a network, by its documented format", f"nnf {len(lines)} {edges} {len(literals)}"]
    (HERE / f"{name}.ac").write_text("\n".join([*header, *lines]) + "\n")
    lmap = ["c the literal map of the circuit beside it"]
    if not old:
        lmap += ["cc$K$ALWAYS_SUM", "cc$S$NORMAL"]
    lmap += [f"cc$N${len(literals)}"]
    lmap += [] if old else [f"cc$v${len(VARIABLES)}"]
    for variable, states in VARIABLES.items():
        lmap.append("$".join(["cc", "V", variable, str(len(states)), *(states if old else [])]))
    lmap += [] if old else [f"cc$t${len(tables)}"]
    lmap += [f"cc$T${table}${len(numbers)}" for table, numbers in tables.items()]
    operator = "" if old else "$+"
    for literal, (kind, weight, owner, place) in enumerate(literals, 1):
        lmap.append(f"cc${'A' if old else 'C'}${-literal}$1.0{operator}" + ("" if old else "$"))
        named = f"${VARIABLES[owner][place]}" if old and kind == "I" else ""
        lmap.append(f"cc${kind}${literal}${weight}{operator}${owner}{named}${place}")
    (HERE / f"{name}.lmap").write_text("\n".join(lmap) + "\n")


write("grass.net", old=False)
write("grass_old.net", old=True)
