"""On hardware: lower a circuit to an HLS project, simulate its C++, and compare every rung with numpy."""

import tempfile

import pcedge

circuit = pcedge.load("nltcs")  # 16 binary variables; it comes with pcedge
with tempfile.TemporaryDirectory() as folder:
    project = pcedge.Project.create(circuit, f"{folder}/nltcs", target="zcu104")
    project.compile()  # the testbench, with the C++ compiler that `pcedge doctor` names
    records = [[0] * 16, [1] * 16, [0, 1] * 8]
    print(project.predict(records).log_likelihood)
    report = project.verify(records)
    assert report.mismatches == 0
