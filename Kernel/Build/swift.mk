# SPDX-License-Identifier: Apache-2.0
#
# Turns Swift modules into a kernel object. Included by Kbuild, where the kernel's CONFIG_* are known.
#   $(call swift_library,MODULE,SOURCES,LIBRARIES,SET,FLAGS)            code that others import: a .swiftmodule only
#   $(call swift_object,OBJECT,MODULE,SOURCES,LIBRARIES,FOLDER,SET,FLAGS)   a driver: one object for its .ko
# A set is a folder of libraries that were compiled with the same flags.
# In Embedded mode the importing module emits, as weak symbols, what it uses of its libraries, so a library gives no
# object of its own.
#
# -no-allocations is what makes the code correct, not small: Embedded Swift takes an object at a kernel address for
# immortal. The frontend ignores some of clang's code generation flags; what it ignores is put right in the assembly.

SWIFTC ?= swiftc
SWIFT_CLANG ?= clang
SWIFT_OBJCOPY ?= objcopy
SWIFT_LD ?= ld.lld
SWIFT_TARGET := x86_64-unknown-none-elf
SWIFT_OPTIMIZE ?= -O

# Named differently from 6.9 on.
lis_retpoline := $(or $(CONFIG_RETPOLINE),$(CONFIG_MITIGATION_RETPOLINE))
lis_rethunk := $(or $(CONFIG_RETHUNK),$(CONFIG_MITIGATION_RETHUNK))
lis_sls := $(or $(CONFIG_SLS),$(CONFIG_MITIGATION_SLS))

$(if $(CONFIG_CFI_CLANG),$(error Swift makes no type hashes: kernels with CONFIG_CFI_CLANG cannot call it))

swift_flags := -target $(SWIFT_TARGET) -swift-version 6 -wmo $(SWIFT_OPTIMIZE) -parse-as-library \
  -enable-experimental-feature Embedded -enable-experimental-feature Extern -enable-experimental-feature Lifetimes \
  -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility \
  -strict-memory-safety -warnings-as-errors \
  -no-allocations -enforce-exclusivity=unchecked \
  -module-cache-path $(abspath $(obj))/swift/cache \
  -I $(LIS_ROOT)/Kernel/Support/include \
  $(if $(filter KernelChannel,$(LIS_LIBRARIES)),-I $(LIS_ROOT)/Kernel/Channel/include) \
  -Xfrontend -function-sections -Xfrontend -disable-stack-protector -Xfrontend -trap-function -Xfrontend swift_kernel_trap \
  -Xcc -ffreestanding -Xcc -mno-red-zone -Xcc -mcmodel=kernel -Xcc -fno-pic -Xcc -fno-stack-protector \
  -Xcc -mno-sse -Xcc -mno-sse2 -Xcc -mno-mmx -Xcc -mno-avx -Xcc -msoft-float \
  $(if $(lis_retpoline),-Xcc -mretpoline-external-thunk) $(if $(lis_sls),-Xcc -mharden-sls=all) \
  -Xcc -fcf-protection=$(if $(CONFIG_X86_KERNEL_IBT),branch,none)

# objtool has to see that the trap function does not come back, and the kernel wants returns to go through its thunk,
# for which Swift has no flag.
# Private functions (.L) need a symbol, or objtool takes a call of one for a trick.
# Names that begin with a dollar sign are nobody's to newer kernels when they look up an address.
swift_edits := -e 's/\.L__unnamed_/swift_unnamed_/g' -e 's/\$$e\([0-9A-Za-z]\)/swift_e\1/g' -e 's/^\tcallq\tswift_kernel_trap.*$$/&\n\tud2/' \
  $(if $(lis_rethunk),-e 's/^\tretq$$/\tjmp\t__x86_return_thunk/')
swift_check := awk -v rethunk=$(if $(lis_rethunk),1,0) -v retpoline=$(if $(lis_retpoline),1,0) \
  -f $(LIS_ROOT)/Kernel/Build/check-object.awk

quiet_cmd_swift_library = SWIFTM  $@
      cmd_swift_library = mkdir -p $(dir $@); $(SWIFTC) $(swift_flags) $(SWIFT_INCLUDES) -module-name $(SWIFT_MODULE) \
	-emit-module -emit-module-path $@ $(SWIFT_SOURCES)

# The compiler also gives a part of Swift's runtime, and functions that it has taken into their callers. What cannot be
# reached from the entries, the symbols that are not Swift's, is left out. (Not by binutils' ld: it adds a second file
# symbol, and objtool takes the object for several.)
swift_entries = nm -g --defined-only $(1) | awk '$$2 == "T" && $$3 !~ /^swift_e/ { print "-u", $$3 }'

# $(cmd_objtool) begins with a semicolon: without "set -e" a failed step would leave an old object to be linked.
quiet_cmd_swift_object = SWIFT   $@
      cmd_swift_object = set -e; mkdir -p $(dir $@); \
	$(SWIFTC) $(swift_flags) $(SWIFT_INCLUDES) -module-name $(SWIFT_MODULE) -emit-assembly $(SWIFT_SOURCES) \
	  -o $(@:.o=.raw.s); \
	sed $(swift_edits) $(@:.o=.raw.s) >$(@:.o=.edited.s); \
	$(SWIFT_CLANG) -target $(SWIFT_TARGET) -c $(@:.o=.edited.s) -o $(@:.o=.whole.o); \
	$(SWIFT_LD) -r --gc-sections $$($(call swift_entries,$(@:.o=.whole.o))) -T $(LIS_ROOT)/Kernel/Build/used.lds \
	  $(@:.o=.whole.o) -o $@; \
	$(SWIFT_OBJCOPY) -R .swift1_autolink_entries -R .swift_modhash -R .llvm_addrsig $@; \
	{ nm -u $@; objdump -dr --no-show-raw-insn $@; } | $(swift_check) -v object=$@ $(cmd_objtool)

define swift_library
$(obj)/$(4)/$(1).swiftmodule: SWIFT_MODULE := $(1)
$(obj)/$(4)/$(1).swiftmodule: SWIFT_SOURCES := $(2)
$(obj)/$(4)/$(1).swiftmodule: SWIFT_INCLUDES := -I $(abspath $(obj))/$(4) $(5)
$(obj)/$(4)/$(1).swiftmodule: $(2) $(foreach l,$(3),$(obj)/$(4)/$(l).swiftmodule) $(src)/swift.mk FORCE
	$$(call if_changed,swift_library)
targets += $(4)/$(1).swiftmodule
endef

define swift_object
$(obj)/$(1): SWIFT_MODULE := $(2)
$(obj)/$(1): SWIFT_SOURCES := $(3)
$(obj)/$(1): SWIFT_INCLUDES := $(if $(wildcard $(LIS_ROOT)/Kernel/$(5)/include),-I $(LIS_ROOT)/Kernel/$(5)/include) \
  -I $(abspath $(obj))/$(strip $(6)) $(7)
$(obj)/$(1): $(3) $(foreach l,$(4),$(obj)/$(strip $(6))/$(l).swiftmodule) $(src)/swift.mk \
  $(LIS_ROOT)/Kernel/Build/check-object.awk $(LIS_ROOT)/Kernel/Build/used.lds FORCE
	$$(call if_changed,swift_object)
targets += $(1)
endef
