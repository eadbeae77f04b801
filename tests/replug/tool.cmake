# SPDX-License-Identifier: BSD-2-Clause
isthmus_replug_test(tool-plug tool rounds_q35 rounds_pc_plain mistakes)
isthmus_replug_test(tool-plug-more tool rounds_q35_plain rounds_pc ALL)
isthmus_replug_test(tool-migrate tool master dance_q35 dance_pc)
isthmus_replug_test(tool-migrate-more tool dance_stay failed ALL)
isthmus_replug_test(travel travel moves_too_q35 stays_pc)
isthmus_replug_test(travel-full travel there_and_back_q35 moves_too_full_pc)
isthmus_replug_test(travel-two-peers travel two_peers_q35 two_peers_pc)
isthmus_replug_test(travel-more travel moves_too_pc stays_q35 moves_too_full_q35 there_and_back_pc ALL)
