# SPDX-License-Identifier: BSD-2-Clause
isthmus_test_image(migrant migrant.c)

isthmus_replug_test(migrate-plain migration plain_q35)
isthmus_replug_test(migrate-plain-pc migration plain_pc)
isthmus_replug_test(migrate-doorbell migration doorbell_q35)
isthmus_replug_test(migrate-doorbell-pc migration doorbell_pc)
isthmus_replug_test(migrate-back-and-forth migration back_and_forth)
isthmus_replug_test(migrate-refused migration refused not_mastered_twice)
isthmus_replug_test(snapshot migration snapshot_q35)
isthmus_replug_test(snapshot-pc migration snapshot_pc)
