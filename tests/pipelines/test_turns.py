import threading

from sleap_lab.pipelines.turns import Turns


def test_workers_work_together():
    turns, both = Turns(), threading.Barrier(2)

    def work():
        with turns.together():
            both.wait(60)

    other = threading.Thread(target=work)
    other.start()
    work()
    other.join()


def test_one_that_works_alone_waits_for_the_others_and_lets_nobody_begin():
    turns, happened = Turns(), []
    begun, wants = threading.Event(), threading.Event()

    def first():
        with turns.together():
            begun.set()
            assert wants.wait(60)
            happened.append("first")

    def alone():
        with turns.alone():
            happened.append("alone")

    def third():
        with turns.together():
            happened.append("third")

    threads = [threading.Thread(target=work) for work in (first, alone, third)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    while not turns._only_one.locked():
        pass
    threads[2].start()
    wants.set()
    for thread in threads:
        thread.join()
    assert happened == ["first", "alone", "third"]


def test_a_turn_ends_with_an_error_too():
    turns = Turns()
    for turn in (turns.together, turns.alone):
        try:
            with turn():
                raise ValueError
        except ValueError:
            pass
    with turns.alone():
        pass
