# SPDX-License-Identifier: Apache-2.0
# The Linux in which benches measure machines, one after the other, with KVM. Where processors have no virtualization it is
# itself a guest of QEMU's software processor with SVM: slow, but the same for all of them.
#
# Sourced from the repository's root by bash scripts that have set -eu and scripts/lib/common.sh. A bench makes the measured
# guest (`rig_skeleton`, `rig_add`, `rig_modules`) and the Linux around it (`rig_outer`, `rig_qemu`, `rig_lis`), writes what
# is to be done there into the file `measure` in its root, and calls `rig_measure`.
rig=$PWD/Benchmarks/nested

# rig_tools [TOOL:PACKAGE...]: what all need, and those.
rig_tools() {
  ensure_tools gcc:gcc /usr/include/stdio.h:libc6-dev cpio:cpio qemu-system-x86_64:qemu-system-x86 python3:python3 \
    busybox:busybox-static "$@"
}

# rig_skeleton ROOT INIT [TOOL...]: a small Linux with that first process, and those of busybox's tools beside the usual ones.
rig_skeleton() {
  local root=$1 init=$2 tool
  shift 2
  mkdir -p "$root"/{bin,usr/bin,dev,proc,sys,run,tmp,modules}
  cp "$(command -v busybox)" "$root/bin/busybox"
  for tool in sh cat mount insmod stty echo reboot sleep mkdir "$@"; do ln -sf busybox "$root/bin/$tool"; done
  install -m 755 "$init" "$root/init"
}

# rig_add ROOT PROGRAM [FOLDER]: copies it and its libraries. Those below FOLDER lie where they would be without it.
rig_add() {
  local library place folder=${3-}
  mkdir -p "$1/usr/bin"
  cp -L "$2" "$1/usr/bin/"
  LD_LIBRARY_PATH=${folder:+$folder/usr/lib/x86_64-linux-gnu:$folder/lib/x86_64-linux-gnu} ldd "$2" |
    sed -nE 's/^[^/]*(\/[^ ]+) .*/\1/p' | while read -r library; do
    place=${library#"$folder"}
    mkdir -p "$1$(dirname "$place")"
    [ -e "$1$place" ] || cp -L "$library" "$1$place"
  done
}

# rig_modules ROOT KERNEL MODULE...: those that the kernel (a folder of scripts/fetch-guests) has as modules, in the order of
# their names in /modules/order.
rig_modules() {
  local root=$1 tree module
  tree=$2/modules/lib/modules/$(cat "$2/release")/kernel
  shift 2
  for module in "$@"; do
    [ -e "$tree/$module.ko" ] || continue
    cp "$tree/$module.ko" "$root/modules/"
    basename "$module" >>"$root/modules/order"
  done
}

# rig_pack ROOT FILE: an initramfs.
rig_pack() { (cd "$1" && find . | cpio -o -H newc --quiet) >"$2"; }

# rig_outer ROOT KERNEL [TOOL...]: the Linux around the machines.
rig_outer() {
  local root=$1 kernel=$2
  shift 2
  rig_skeleton "$root" "$rig/init" "$@"
  mkdir -p "$root/guest"
  # The first process loads these by itself.
  rig_modules "$root" "$kernel" virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-amd arch/x86/kvm/kvm-intel
  rm "$root/modules/order"
}

# rig_qemu ROOT: QEMU, and what it starts kernels with.
rig_qemu() {
  local rom place
  rig_add "$1" "$(command -v qemu-system-x86_64)"
  mkdir -p "$1/usr/share/qemu"
  for rom in bios-256k.bin kvmvapic.bin linuxboot_dma.bin linuxboot.bin; do
    for place in /usr/share/seabios /usr/share/qemu; do
      [ ! -e "$place/$rom" ] || cp -L "$place/$rom" "$1/usr/share/qemu/"
    done
  done
}

# rig_lis ROOT: our command, that of LIS where it is set, as /usr/bin/lis.
rig_lis() {
  local root=$1 lis=${LIS:-.build/release/lis} library place
  [ -x "$lis" ] || { say "building lis" >&2 && scripts/build >&2; }
  rig_add "$root" "$lis"
  [ "$(basename "$lis")" = lis ] || mv "$root/usr/bin/$(basename "$lis")" "$root/usr/bin/lis"
  # Debug information would only fill the measuring Linux's memory.
  strip "$root/usr/bin/lis"
  # What kernels are unpacked with: it is loaded when it is needed.
  for library in liblz4.so.1 libzstd.so.1 liblzma.so.5 libz.so.1; do
    place=$(ldconfig -p | awk -v name="$library" '$1 == name && /x86-64/ && !place {place = $NF} END {print place}')
    [ -z "$place" ] || [ -e "$root$place" ] || { mkdir -p "$root$(dirname "$place")" && cp -L "$place" "$root$place"; }
  done
}

# rig_measure KERNEL ROOT LOG MIB SECONDS real|instructions: runs it to its end.
#
# `instructions`, where KVM is emulated: time is what the software processor has executed, 1 ns an instruction, whatever else
# this machine does meanwhile.
rig_measure() {
  local kernel=$1 root=$2 log=$3 mib=$4 seconds=$5 clock=$6 khz accelerator timing
  case $clock in real | instructions) ;; *) die "the clock is real or instructions, not $clock" ;; esac
  say "measuring" >&2
  rig_pack "$root" "$log.initramfs"
  khz=$(awk '/^cpu MHz/ {printf "%.0f", $4 * 1000; exit}' /proc/cpuinfo)
  if [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then
    accelerator=(-accel kvm -cpu host)
    timing=''
  elif [ "$clock" = instructions ]; then
    accelerator=(-accel "tcg,thread=single,tb-size=512" -icount shift=0,sleep=off -cpu "max,+svm,+npt,-la57,-erms")
    timing='tsc=reliable no_timer_check'
  else
    accelerator=(-accel "tcg,thread=multi,tb-size=512" -cpu "max,+svm,+npt,-la57,-erms")
    timing="tsc=reliable tsc_early_khz=$khz no_timer_check"
  fi
  # QEMU's software processor can lose an interrupt at VMRUN; a character on the serial port makes it look again.
  (while sleep 0.1; do echo; done) | timeout -k 5 "$seconds" qemu-system-x86_64 -machine pc "${accelerator[@]}" -smp 1 \
    -m "$mib" -nodefaults -no-user-config -display none -no-reboot -monitor none -chardev stdio,id=serial,signal=off \
    -serial chardev:serial -kernel "$kernel/vmlinuz" -initrd "$log.initramfs" \
    -append "console=ttyS0 quiet panic=-1 mitigations=off nokaslr $timing rcupdate.rcu_expedited=1 random.trust_cpu=on" \
    >"$log" 2>&1 || true
  grep -q BENCH-END "$log" || { tail -n 20 "$log" >&2; die "the measuring Linux did not reach its end"; }
}
