{
  # CMake builds the addon (CMakeLists.txt); this makes node-gyp, prebuildify and node-gyp-build use that build.
  "targets": [
    {
      "target_name": "mactok",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          # Never created, so that the action always runs: CMake knows best what is out of date.
          "outputs": ["<(PRODUCT_DIR)/always"],
          "action": ["node", "scripts/build.mjs", "<(PRODUCT_DIR)"]
        }
      ]
    }
  ]
}
