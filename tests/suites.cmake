# What tests beside the units: scenarios, examples, the command line, the server, crashes.
# Tests of label "broker" need the broker that tests/broker.sh starts, and are run by scripts/test.

# weir_test(NAME LABELS TIMEOUT PROGRAM ARGUMENT...): a test that runs a program of this folder.
function(weir_test name labels timeout program)
  set(runner python3)
  math(EXPR timeout "${timeout} * ${PATIENCE}")
  if(program MATCHES "\\.sh$")
    set(runner bash)
  endif()
  add_test(NAME ${name} COMMAND ${RUN_BY} ${runner} ${CMAKE_CURRENT_SOURCE_DIR}/${program} ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${timeout}
    ENVIRONMENT "SANITIZED=${WEIR_SANITIZE};WEIR_TEST_PATIENCE=${PATIENCE}")
endfunction()

# How often: less where it takes longer.
set(REPLAYS 6)
set(KILLS_LOCAL 8)
set(KILLS_KAFKA 5)
if(WEIR_SANITIZE)
  set(REPLAYS 3)
  set(KILLS_LOCAL 4)
  set(KILLS_KAFKA 3)
endif()

if(TARGET weir)
  set(WEIR $<TARGET_FILE:weir>)
  file(GLOB SCENARIOS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/scenarios/*.test)
  foreach(scenario ${SCENARIOS})
    get_filename_component(name ${scenario} NAME_WE)
    add_test(NAME scenario_${name} COMMAND ${RUN_BY} ${WEIR} test ${scenario})
    set_tests_properties(scenario_${name} PROPERTIES LABELS scenario TIMEOUT 120)
  endforeach()

  # The functions' manual is what the table of functions says today, examples and all.
  add_test(NAME functions_manual COMMAND ${RUN_BY} sh -c "$<TARGET_FILE:print_functions> | diff ${CMAKE_SOURCE_DIR}/docs/functions.md -")

  # What expressions give, a line each.
  file(GLOB EXPRESSIONS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/expressions/*.txt)
  add_test(NAME expressions COMMAND ${RUN_BY} $<TARGET_FILE:check_expressions> ${CMAKE_CURRENT_SOURCE_DIR}/expressions/setup.sql ${EXPRESSIONS})

  # What a page shows can be copied and pasted, in an empty directory.
  file(GLOB EXAMPLE_PAGES CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sql-examples/*/README.md)
  weir_test(pages command 300 run_pages.py ${WEIR} ${EXAMPLE_PAGES} ${CMAKE_SOURCE_DIR}/docs/tutorial.md)
  weir_test(examples command 300 run_examples.sh ${WEIR})
  weir_test(command_line command 300 command_line.py ${WEIR})
  weir_test(terminal command 300 terminal.py ${WEIR})
  weir_test(terminal_remote command 300 terminal.py ${WEIR} --remote)
  weir_test(shell_remote command 300 shell_remote.py ${WEIR})
  weir_test(differential command 300 differential.py --weir ${WEIR} --count 200 --seed 1)
  weir_test(bad_input command 300 bad_input.py ${WEIR})
  weir_test(server command 300 server.py ${WEIR})
  weir_test(server_push command 300 server_push.py ${WEIR})
  weir_test(server_security command 300 server_security.py ${WEIR})
  weir_test(server_abuse command 600 server_abuse.py ${WEIR})
  set_tests_properties(server_abuse PROPERTIES RUN_SERIAL TRUE)
  weir_test(replay crash 600 replay.py --weir ${WEIR} --count ${REPLAYS})
  weir_test(crash_local crash 600 crash_local.py --weir ${WEIR} --rounds ${KILLS_LOCAL})
  weir_test(crash_many crash 600 crash_many.py --weir ${WEIR} --seed 1)
  weir_test(crash_server crash 600 crash_server.py --weir ${WEIR} --rounds 4)
  weir_test(faults crash 120 faults/faults.py --weir ${WEIR} --shim $<TARGET_FILE:fault_shim>)
  # ksqlDB's clients as published: they are installed once.
  weir_test(clients clients 900 clients/run ${WEIR})

  # The broker's address comes from WEIR_TEST_BROKER; without one they fail. With another in WEIR_TEST_OUTAGE_BROKER, they may run
  # at the same time. They mostly wait, and so begin first.
  weir_test(crash_kafka broker 600 crash_kafka.py --weir ${WEIR} --rounds ${KILLS_KAFKA})
  weir_test(kafka broker 1500 kafka.py ${WEIR} --calm)
  weir_test(kafka_outages broker 1500 kafka.py ${WEIR} --outages) # a broker that dies and stands still: timeouts of minutes
  set_property(TEST kafka_outages APPEND PROPERTY ENVIRONMENT WEIR_TEST_LSAN=lsan_outages.supp)
  # These start a schema registry as well.
  weir_test(registry_faults broker 600 registry/run ${WEIR} faults.py)
  weir_test(registry_roundtrip broker 600 registry/run ${WEIR} roundtrip.py)
  add_test(NAME broker_kafka COMMAND ${RUN_BY} $<TARGET_FILE:broker_kafka>)
  set_tests_properties(broker_kafka PROPERTIES LABELS broker TIMEOUT 600)
  set_tests_properties(kafka kafka_outages crash_kafka registry_faults registry_roundtrip broker_kafka PROPERTIES COST 1000)
endif()
