from torture import full_disk
from torture.disks import limited_files


def test_a_full_disk_loses_no_acknowledged_write_and_no_database(tmp_path):
    found = full_disk.run(tmp_path, [limited_files], rounds=1)
    assert found.violations == []
