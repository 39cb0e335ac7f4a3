# presets.cmake: files as one C table. cmake -DIN="FILE;..." -DOUT=FILE.c -DNAME=symbol -P presets.cmake
set(table "")
set(texts "")
set(number 0)
foreach(file ${IN})
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND texts "static const char text_${number}[] = {${bytes}0};\n")
  string(APPEND table "\t{ \"${name}\", text_${number} },\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"actions/common/preset.h\"\n\nextern const struct preset_shipped ${NAME}[];\n"
  "${texts}\nconst struct preset_shipped ${NAME}[] = {\n${table}\t{ NULL, NULL }\n};\n")
