// SPDX-License-Identifier: BSD-2-Clause
/* Golden command lines: whoever changes what a guest is started with changes a line here. */
#include "tests/launch/unit/unit.h"

#include "host/launch/qemu.h"

static void check(const struct qemu_config *c, const char *want)
{
	struct words w = {0};
	struct text line = {0};

	qemu_command(c, &w);
	assert_null(w.v[w.n]);
	for (size_t i = 0; i < w.n; i++) {
		if (i)
			text_add(&line, " ", 1);
		quote_shell(&line, w.v[i]);
	}
	assert_string_equal(line.s, want);
	words_free(&w);
	text_free(&line);
}

static void smallest(void **state)
{
	const struct qemu_config c = {
		.program = "qemu", .machine = "q35", .mem_mib = 64, .kernel = "x.elf"};

	(void)state;
	check(&c, "qemu -nodefaults -no-user-config -display none -no-reboot -machine q35 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x.elf -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4");
}

static void doorbell(void **state)
{
	const struct qemu_region r = {.path = "/d/wire.sock", .vectors = 2};
	const struct qemu_config c = {.program = "/usr/bin/qemu",
		.name = "a",
		.machine = "q35",
		.accel = "tcg,thread=multi",
		.cpus = 1,
		.mem_mib = 64,
		.kernel = "x.elf",
		.append = "isthmus.name=a 'b c'",
		.qmp = "/d/a.qmp",
		.regions = &r,
		.n_regions = 1};

	(void)state;
	check(&c, "/usr/bin/qemu -nodefaults -no-user-config -display none -no-reboot -name a "
		  "-machine q35 -accel tcg,thread=multi -smp 1,maxcpus=2 -m 64 -kernel x.elf "
		  "-append 'isthmus.name=a '\\''b c'\\''' -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-chardev socket,path=/d/a.qmp,id=qmp,server=on,wait=off -mon "
		  "chardev=qmp,mode=control "
		  "-chardev socket,path=/d/wire.sock,id=iv0 "
		  "-device ivshmem-doorbell,id=shm0,chardev=iv0,vectors=2");
}

static void mixed_regions_and_awkward_paths(void **state)
{
	const struct qemu_region r[] = {
		{.plain = true, .path = "/a,b/m", .size = 4096},
		{.path = "/a,b/s", .vectors = 256},
		{.plain = true, .path = "/proc/self/fd/11", .size = 17179869184ull},
	};
	const struct qemu_config c = {.program = "qemu",
		.machine = "pc",
		.mem_mib = 64,
		.kernel = "x",
		.regions = r,
		.n_regions = 3,
		.hotplug = QEMU_HOTPLUG_ACPI};

	(void)state;
	check(&c, "qemu -nodefaults -no-user-config -display none -no-reboot -machine pc "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-object memory-backend-file,id=iv0,share=on,mem-path=/a,,b/m,size=4096 "
		  "-device ivshmem-plain,id=shm0,memdev=iv0 "
		  "-chardev socket,path=/a,,b/s,id=iv1 "
		  "-device ivshmem-doorbell,id=shm1,chardev=iv1,vectors=256 "
		  "-object "
		  "memory-backend-file,id=iv2,share=on,mem-path=/proc/self/fd/11,size=17179869184 "
		  "-device ivshmem-plain,id=shm2,memdev=iv2");
}

static void ports_for_hotplug(void **state)
{
	const struct qemu_region r[] = {
		{.plain = true, .path = "/m", .size = 2u << 20},
		{.path = "/s", .size = 64u << 20, .vectors = 4, .master = true},
	};
	struct qemu_config c = {.program = "q",
		.machine = "q35",
		.mem_mib = 64,
		.kernel = "x",
		.regions = r,
		.n_regions = 2,
		.hotplug = QEMU_HOTPLUG_NATIVE,
		.master = true};

	(void)state;
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine q35 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
		  "-device pcie-root-port,id=port0,slot=1,chassis=1 "
		  "-object memory-backend-file,id=iv0,share=on,mem-path=/m,size=2097152 "
		  "-device ivshmem-plain,id=shm0,memdev=iv0,bus=port0,master=off "
		  "-device pcie-root-port,id=port1,slot=2,chassis=2,pref64-reserve=67108864 "
		  "-chardev socket,path=/s,id=iv1 "
		  "-device ivshmem-doorbell,id=shm1,chardev=iv1,vectors=4,bus=port1,master=on");
	/* What doesn't travel isn't there while QEMU waits: it would be in the way. */
	c.incoming = true;
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine q35 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
		  "-device pcie-root-port,id=port0,slot=1,chassis=1 "
		  "-device pcie-root-port,id=port1,slot=2,chassis=2,pref64-reserve=67108864 "
		  "-chardev socket,path=/s,id=iv1 "
		  "-device ivshmem-doorbell,id=shm1,chardev=iv1,vectors=4,bus=port1,master=on "
		  "-incoming defer");
	c.master = false;
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine q35 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
		  "-device pcie-root-port,id=port0,slot=1,chassis=1 "
		  "-device pcie-root-port,id=port1,slot=2,chassis=2,pref64-reserve=67108864 "
		  "-incoming defer");
}

static void other_ways_of_hotplug(void **state)
{
	const struct qemu_region r = {.plain = true, .path = "/m", .size = 2u << 20};
	struct qemu_config c = {.program = "q", .machine = "pc-q35-7.2", .mem_mib = 64, .kernel = "x",
		.regions = &r, .n_regions = 1, .hotplug = QEMU_HOTPLUG_ACPI};

	(void)state;
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine pc-q35-7.2 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-device pcie-root-port,id=port0,slot=1,chassis=1 "
		  "-object memory-backend-file,id=iv0,share=on,mem-path=/m,size=2097152 "
		  "-device ivshmem-plain,id=shm0,memdev=iv0,bus=port0");
	c.machine = "pc-i440fx-7.2";
	c.hotplug = QEMU_HOTPLUG_NONE;
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine pc-i440fx-7.2 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-global PIIX4_PM.acpi-root-pci-hotplug=off "
		  "-object memory-backend-file,id=iv0,share=on,mem-path=/m,size=2097152 "
		  "-device ivshmem-plain,id=shm0,memdev=iv0");
	c.n_regions = 0;
	c.hotplug = QEMU_HOTPLUG_NATIVE;
	c.machine = "q35";
	check(&c, "q -nodefaults -no-user-config -display none -no-reboot -machine q35 "
		  "-smp 1,maxcpus=2 -m 64 -kernel x -serial stdio "
		  "-device isa-debug-exit,iobase=0xf4,iosize=4");
}

static void every_option(void **state)
{
	struct words extra = {0};
	const struct qemu_config c = {.program = "qemu",
		.machine = "microvm",
		.accel = "kvm",
		.cpu = "host",
		.cpus = 4,
		.mem_mib = 1024,
		.bios = "qboot.rom",
		.kernel = "x",
		.append = "",
		.gdb = "/d,/g",
		.extra = &extra};

	(void)state;
	words_add(&extra, "-L");
	words_add(&extra, "/a dir");
	check(&c, "qemu -nodefaults -no-user-config -display none -no-reboot "
		  "-machine microvm,acpi=on,pcie=on -accel kvm -cpu host -smp 4 -m 1024 -bios "
		  "qboot.rom "
		  "-kernel x -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4 "
		  "-gdb unix:/d,,/g,server=on,wait=off -S -L '/a dir'");
	words_free(&extra);
}

static void what_firmware_boots_from(void **state)
{
	const struct qemu_config cd = { .program = "q", .machine = "pc", .mem_mib = 64, .cd = "/a,b/x.iso" };
	const struct qemu_config disk = { .program = "q", .machine = "q35", .mem_mib = 128,
					  .bios = "/o/OVMF.fd", .disk = "x.img", .flash_code = NULL };
	const struct qemu_config secure = { .program = "q", .machine = "q35", .mem_mib = 128,
					    .flash_code = "/o/c,d", .flash_vars = "/o/v",
					    .kernel = "x.efi", .append = "a" };

	(void)state;
	check(&cd, "q -nodefaults -no-user-config -display none -no-reboot -machine pc "
	      "-smp 1,maxcpus=2 -m 64 "
	      "-drive if=none,id=boot,format=raw,media=cdrom,readonly=on,file=/a,,b/x.iso "
	      "-device ide-cd,drive=boot,bootindex=0 -serial stdio "
	      "-device isa-debug-exit,iobase=0xf4,iosize=4");
	check(&disk, "q -nodefaults -no-user-config -display none -no-reboot -machine q35 "
	      "-smp 1,maxcpus=2 -m 128 -bios /o/OVMF.fd "
	      "-drive if=none,id=boot,format=raw,snapshot=on,file=x.img "
	      "-device ide-hd,drive=boot,bootindex=0 -serial stdio "
	      "-device isa-debug-exit,iobase=0xf4,iosize=4");
	check(&secure, "q -nodefaults -no-user-config -display none -no-reboot -machine q35,smm=on "
	      "-smp 1,maxcpus=2 -m 128 -global driver=cfi.pflash01,property=secure,value=on "
	      "-drive if=pflash,unit=0,format=raw,readonly=on,file=/o/c,,d "
	      "-drive if=pflash,unit=1,format=raw,snapshot=on,file=/o/v "
	      "-kernel x.efi -append a -serial stdio -device isa-debug-exit,iobase=0xf4,iosize=4");
}

static void a_whole_machine_value_is_left_alone(void **state)
{
	const struct qemu_config c = {
		.program = "q", .machine = "q35,sata=off", .mem_mib = 8, .kernel = "x"};
	struct words w = {0};

	(void)state;
	qemu_command(&c, &w);
	assert_string_equal(w.v[7], "q35,sata=off");
	words_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest),
		cmocka_unit_test(doorbell),
		cmocka_unit_test(mixed_regions_and_awkward_paths),
		cmocka_unit_test(ports_for_hotplug),
		cmocka_unit_test(other_ways_of_hotplug),
		cmocka_unit_test(every_option),
		cmocka_unit_test(what_firmware_boots_from),
		cmocka_unit_test(a_whole_machine_value_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
