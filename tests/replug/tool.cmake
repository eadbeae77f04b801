# SPDX-License-Identifier: BSD-2-Clause
isthmus_replug_test(tool-plug tool rounds_q35 rounds_pc_plain mistakes)
isthmus_replug_test(tool-plug-more tool rounds_q35_plain rounds_pc ALL)
isthmus_replug_test(tool-migrate tool master dance_q35 dance_pc)
isthmus_replug_test(tool-migrate-more tool dance_stay failed ALL)
