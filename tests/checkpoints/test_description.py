from sleap_lab.checkpoints.description import draw
from sleap_lab.poses.record import Skeleton


def test_a_skeleton_is_drawn_from_its_roots():
    skeleton = Skeleton(
        ("tail", "head", "left", "right", "alone"),
        edges=((1, 2), (1, 3), (3, 0)),
        symmetries=((2, 3),),
    )
    assert draw(skeleton) == [
        "head",
        "├── left  ⇄ right",
        "└── right  ⇄ left",
        "    └── tail",
        "alone",
    ]


def test_circles_end():
    skeleton = Skeleton(("a", "b", "c"), edges=((0, 1), (1, 2), (2, 0)))
    assert draw(skeleton) == ["a", "└── b", "    └── c", "        └── a (see above)"]


def test_a_chain_of_thousands_of_nodes_is_drawn():
    nodes = tuple(map(str, range(3000)))
    assert len(draw(Skeleton(nodes, edges=tuple((i, i + 1) for i in range(2999))))) == 3000
