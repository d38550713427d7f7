from pytorchvideo_autox3d.search import Ledger


def test_passes_and_time_add_up_across_a_resume():
    first = Ledger()
    first.add(10.0, 4, gradient=True)
    first.add(10.0, 4, gradient=False)
    assert first.macs == 160.0
    sum(range(2_000_000))
    spent = first.state_dict()
    assert spent["cpu_seconds"] > 0
    second = Ledger()
    second.load_state_dict(spent)
    second.add(1.0, 1, gradient=False)
    assert second.macs == 161.0
    assert second.cpu_seconds >= spent["cpu_seconds"]
    assert second.to_dict()["peak_bytes"] > 10**7
