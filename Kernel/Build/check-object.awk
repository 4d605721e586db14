# SPDX-License-Identifier: Apache-2.0
#
# What a Swift object must not hold before it goes into a kernel module. Reads `nm -u`, then `objdump -dr
# --no-show-raw-insn`; takes object (a name for the report), rethunk, retpoline and frame (bytes a function may take of
# the stack, 1536). Ends with status 1 when something was found.
#
# The stack is followed in the order of the instructions, which is enough to find the deepest point of what the
# compiler makes; accesses below it in a function that calls nobody are a red zone, which an interrupt overwrites.

BEGIN {
  if (frame == "") frame = 1536
  split("posix_memalign free malloc swift_retain swift_release swift_allocObject arc4random_buf putchar", heap, " ")
  for (i in heap) isHeap[heap[i]] = 1
}

function hex(text,    value, i) {
  value = 0
  text = tolower(text)
  for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
  return value
}

# The number after a prefix in the instruction, taken from RSTART on.
function number_at(text, skip) {
  return hex(substr(text, RSTART + skip, RLENGTH - skip))
}

function found(what, where) {
  if (!(what in count)) order[++kinds] = what
  if (count[what]++ < 4) names[what] = names[what] " " where
}

function finish() {
  if (name == "") return
  functions++
  if (deepest > largest) { largest = deepest; largestName = name }
  if (lowest > deepest && !calls) found("red zone", name)
  if (deepest > frame) found("stack frame over " frame " bytes", name "(" deepest ")")
}

# Undefined symbols, before the disassembly.
NF == 2 && $1 == "U" {
  if ($2 in isHeap) found("heap", $2)
  next
}

/^[0-9a-f]+ <.*>:$/ {
  finish()
  name = substr($2, 2, length($2) - 3)
  depth = deepest = lowest = calls = frameAt = 0
  next
}

/R_X86_64_[A-Z0-9]+/ {
  # The token of a global with a computed initializer: an interrupt that meets it half done waits for ever.
  if ($0 ~ /_Wz([-+ ]|$)/) found("global with a lazy initializer", $NF)
  if ($0 ~ /GOTPCREL/) found("GOT relocation", name)
  next
}

name != "" && /\t/ {
  instruction = substr($0, index($0, "\t") + 1)
  op = instruction
  sub(/[ \t].*/, "", op)
  if (op ~ /^push/) depth += 8
  else if (op ~ /^pop/) depth -= 8
  if (match(instruction, /^sub[q]? +\$0x[0-9a-f]+,%rsp/)) {
    match(instruction, /\$0x[0-9a-f]+/)
    depth += number_at(instruction, 3)
  } else if (match(instruction, /^add[q]? +\$0x[0-9a-f]+,%rsp/)) {
    match(instruction, /\$0x[0-9a-f]+/)
    value = number_at(instruction, 3)
    # Taking 128 bytes is written as adding -128.
    depth += value >= 2147483648 ? 18446744073709551616 - value : -value
  } else if (instruction ~ /^add[q]? +\$-0x[0-9a-f]+,%rsp/) {
    match(instruction, /\$-0x[0-9a-f]+/)
    depth += number_at(instruction, 4)
  }
  if (instruction ~ /^mov[q]? +%rsp,%rbp/) frameAt = depth > 8 ? depth : 8
  if (depth > deepest) deepest = depth
  if (op ~ /^call/) calls = 1
  if (op ~ /^(ret|retq)$/) {
    depth = 0
    if (rethunk) found("plain return", name)
  }
  if (op ~ /^(jmp|ud2)/ && depth < 0) depth = 0
  # With an index in a second register the number alone does not say where it goes: -0x6c(%rbp,%rax,1).
  if (frameAt && match(instruction, /-0x[0-9a-f]+\(%rbp\)/)) {
    value = frameAt + hex(substr(instruction, RSTART + 3, RLENGTH - 9))
    if (value > lowest) lowest = value
  }
  if (instruction ~ /-0x[0-9a-f]+\(%rsp/) lowest = 2147483647
  if (instruction ~ /%[xyz]mm[0-9]|%mm[0-7]/) found("vector register", name)
  if (instruction ~ /%st([^a-z]|$)/ || op ~ /^f(ld|st|ild|ist|add|mul|div|sub|xch|com|chs|abs)/) found("x87", name)
  if (retpoline && instruction ~ /^(call|jmp)[q]? +\*/) found("indirect branch without a thunk", name)
}

END {
  finish()
  if (functions == 0) found("no code", object)
  for (i = 1; i <= kinds; i++)
    printf "%s: %s: %d:%s\n", object, order[i], count[order[i]], names[order[i]] >"/dev/stderr"
  if (kinds == 0 && report) printf "%s: %d functions, largest stack frame %d bytes (%s)\n", object, functions, largest, largestName
  exit kinds > 0
}
