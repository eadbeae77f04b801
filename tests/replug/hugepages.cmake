# SPDX-License-Identifier: BSD-2-Clause
# They lend each other the system's pool of huge pages one after another, and so are few.
isthmus_replug_test(hugepages hugepages run too_few server)
isthmus_replug_test(hugepages-mistakes hugepages mistakes)
isthmus_replug_test(hugepages-giant hugepages giant ALL)
