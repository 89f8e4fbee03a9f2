# For people who build with node-gyp: the same sources and flags as CMakeLists.txt.
{
  "targets": [
    {
      "target_name": "logflume",
      "sources": [
        "<!@(node -p \"require('fs').readFileSync('native/sources.txt','utf8').trim().split('\\n').join(' ')\")"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include_dir\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS"],
      "cflags!": ["-O3"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": [
        "-std=c++20", "-O2", "-g0", "-UNDEBUG", "-pthread", "-fno-exceptions",
        "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-Wall", "-Wextra"
      ],
      "ldflags": ["-pthread", "-Wl,--version-script=<(module_root_dir)/native/exports.map"]
    }
  ]
}
