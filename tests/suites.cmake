# What tests beside the units: scenarios, examples, the command line, crashes.
# Tests of label "broker" need the broker that tests/broker.sh starts, and are run by scripts/test.
if(TARGET weir)
  file(GLOB SCENARIOS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/scenarios/*.test)
  foreach(scenario ${SCENARIOS})
    get_filename_component(name ${scenario} NAME_WE)
    add_test(NAME scenario_${name} COMMAND weir test ${scenario})
    set_tests_properties(scenario_${name} PROPERTIES LABELS scenario TIMEOUT 120)
  endforeach()

  # The functions' manual is what the table of functions says today, examples and all.
  add_test(NAME functions_manual COMMAND sh -c "$<TARGET_FILE:print_functions> | diff ${CMAKE_SOURCE_DIR}/docs/functions.md -")

  add_test(NAME examples COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/run_examples.sh $<TARGET_FILE:weir>)
  add_test(NAME command_line COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/command_line.py $<TARGET_FILE:weir>)
  add_test(NAME terminal COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/terminal.py $<TARGET_FILE:weir>)
  add_test(NAME crash_local COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/crash_local.py --weir $<TARGET_FILE:weir> --rounds 8)
  add_test(NAME differential COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/differential.py --weir $<TARGET_FILE:weir> --count 200 --seed 1)
  add_test(NAME bad_input COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/bad_input.py $<TARGET_FILE:weir>)
  add_test(NAME server COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/server.py $<TARGET_FILE:weir>)
  set_tests_properties(examples command_line terminal differential bad_input server PROPERTIES LABELS command TIMEOUT 300)
  set_tests_properties(command_line terminal server PROPERTIES ENVIRONMENT "LSAN_OPTIONS=suppressions=${CMAKE_CURRENT_SOURCE_DIR}/lsan.supp:print_suppressions=0")
  set_tests_properties(terminal PROPERTIES LABELS "command;terminal") # a person's patience: not under TSan
  set_tests_properties(crash_local PROPERTIES LABELS crash TIMEOUT 600)

  # The broker's address comes from WEIR_TEST_BROKER; without one they fail.
  add_test(NAME crash_kafka COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/crash_kafka.py --weir $<TARGET_FILE:weir> --rounds 5)
  add_test(NAME kafka COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/kafka.py $<TARGET_FILE:weir>)
  add_test(NAME broker_kafka COMMAND broker_kafka)
  set_tests_properties(crash_kafka kafka broker_kafka PROPERTIES LABELS broker TIMEOUT 600)
endif()
