# jumun_embed_migrations(TARGET): services/<name>/migrations/*.sql -> generated/migrations_<name>.h, an
# array of {file name, text} in file-name order, so that the binary carries its own schema.
function(jumun_embed_migrations target)
    file(GLOB folders CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/services/*/migrations)
    foreach(folder ${folders})
        get_filename_component(service_dir ${folder} DIRECTORY)
        get_filename_component(name ${service_dir} NAME)
        file(GLOB scripts CONFIGURE_DEPENDS ${folder}/*.sql)
        set(out ${CMAKE_BINARY_DIR}/generated/migrations_${name}.h)
        add_custom_command(OUTPUT ${out}
            COMMAND sh ${CMAKE_SOURCE_DIR}/tools/embed-migrations ${name} ${out} ${scripts}
            DEPENDS ${scripts} ${CMAKE_SOURCE_DIR}/tools/embed-migrations VERBATIM)
        list(APPEND headers ${out})
    endforeach()
    add_custom_target(${target}_migrations DEPENDS ${headers})
    add_dependencies(${target} ${target}_migrations)
    target_include_directories(${target} PRIVATE ${CMAKE_BINARY_DIR}/generated)
endfunction()
