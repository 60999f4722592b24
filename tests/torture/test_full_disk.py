from torture import full_disk
from torture.disks import limited_files


def test_a_full_disk_loses_nothing_that_was_acknowledged_and_the_database_works_again_afterwards(tmp_path):
    found = full_disk.run(tmp_path, [limited_files], rounds=1)
    assert found.violations == []
